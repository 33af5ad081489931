"""Processes, ports and private files, as servers need them from the operating system."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"  # never "localhost": its lookup hangs where there is no /etc/hosts
POLL_S = 0.02


@dataclass(frozen=True)
class Account:
    """The operating system's user that a server runs as."""

    uid: int
    gid: int


def run_as(
    account: Account | None,
    command: list[str],
    *,
    cwd: Path,
    output: int,
    stdin: bytes = b"",
    inherit: tuple[int, ...] = (),
) -> int:
    """Run a command as that user, in a session of its own, and return its exit status.

    Nothing of our environment is passed on: PG* variables would change what Postgres does,
    and a URL with a password would show in /proc.
    """
    return subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        input=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=inherit,
        start_new_session=True,
        umask=0o077,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        check=False,
    ).returncode


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Write a file that only its owner can read, at once or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_text(text)
    if account:
        os.chown(draft, account.uid, account.gid)
    draft.replace(path)


def wait_for(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process, which may be gone by now."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        # As the servers do: connections of the last run in TIME_WAIT do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    # A process group will not do: every Postgres backend makes a session of its own.
    if Path("/proc/self/stat").exists():
        processes = [_family(path) for path in Path("/proc").glob("[0-9]*/stat")]
    else:
        listing = subprocess.run(
            ["/bin/ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
        )
        processes = [tuple(map(int, line.split())) for line in listing.stdout.splitlines()]
    return [family[0] for family in processes if family[1:] == (pid,)]


def _family(stat: Path) -> tuple[int, ...]:
    """A process and its parent, from `/proc/PID/stat` (proc_pid_stat(5)); nothing once gone."""
    try:
        text = stat.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return int(text.split()[0]), int(text.rpartition(")")[2].split()[1])
