"""A host of its own on this machine: a network namespace behind a cable that can be pulled.

The tests' own end of the cable is in the network that their run is alone in. Needs root, and
`ip` (iproute2), `nsenter` and `unshare` (util-linux).
"""

import os
import shutil
import signal
import subprocess
from typing import Self

from tests import namespace
from tests.faults.proxy import Proxy

_NEAR, _FAR, _BLOCK = "10.231.77.1", "10.231.77.2", "10.231.77.0/30"
_HERE = "10.231.77.9"


class Host:
    """A network namespace that reaches this machine's servers over one cable, and nothing else.

    Attributes:
        here: an address of this machine that both can reach, this machine at any time.
        block: the addresses of such hosts.
        prefix: what a command starts with to run there.
    """

    here = _HERE
    block = _BLOCK

    def __init__(self) -> None:
        self._cable = f"tagger{os.getpid() % 10**6}"
        self._keeper: subprocess.Popen[bytes] | None = None
        self.prefix: list[str] = []

    @staticmethod
    def missing() -> str:
        """What such hosts need and do not find here; empty if nothing."""
        if os.geteuid() != 0:
            return "root"
        if not namespace.is_own():
            return "a network of the tests' own"
        lacking = [tool for tool in ("ip", "nsenter", "unshare") if shutil.which(tool) is None]
        return ", ".join(lacking)

    def __enter__(self) -> Self:
        # Says so once it is in its namespace, and holds that open.
        self._keeper = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", "echo; exec sleep 600"],  # noqa: S607
            stdout=subprocess.PIPE,
        )
        assert self._keeper.stdout is not None
        self._keeper.stdout.readline()
        pid = str(self._keeper.pid)
        self.prefix = ["nsenter", "--target", pid, "--net"]
        far = f"{self._cable}f"
        _run("ip", "link", "add", self._cable, "type", "veth", "peer", "name", far)
        _run("ip", "link", "set", far, "netns", pid)
        _run("ip", "address", "add", f"{_NEAR}/30", "dev", self._cable)
        _run("ip", "link", "set", self._cable, "up")
        _run("ip", "address", "add", f"{_HERE}/32", "dev", "lo")
        # While the cable is out, what is meant for the host must not leave by another.
        _run("ip", "route", "add", "blackhole", _BLOCK, "metric", "4000")
        _run(*self.prefix, "ip", "address", "add", f"{_FAR}/30", "dev", far)
        _run(*self.prefix, "ip", "link", "set", far, "up")
        _run(*self.prefix, "ip", "link", "set", "lo", "up")
        _run(*self.prefix, "ip", "route", "add", _HERE, "via", _NEAR)
        return self

    def __exit__(self, *_: object) -> None:
        for undo in (
            ["ip", "link", "delete", self._cable],
            ["ip", "address", "delete", f"{_HERE}/32", "dev", "lo"],
            ["ip", "route", "delete", "blackhole", _BLOCK, "metric", "4000"],
        ):
            subprocess.run(undo, check=False)
        if self._keeper is not None:
            self._keeper.send_signal(signal.SIGKILL)
            self._keeper.wait()

    def pull(self) -> None:
        """Cuts the host off: packets vanish in both directions, and nobody is told."""
        _run("ip", "link", "set", self._cable, "down")

    def plug(self) -> None:
        """Connects it again."""
        _run("ip", "link", "set", self._cable, "up")

    def door(self, port: int) -> Proxy:
        """A way from the host to a server on this machine's loopback."""
        return Proxy(("127.0.0.1", port), address=_HERE)


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
