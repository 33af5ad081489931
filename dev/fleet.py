"""The project's own processes on this machine: relay, workers, commands."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from dev.processes import children, send
from dev.services import Urls
from shared.servers import VARIABLES

_ROOT = Path(__file__).resolve().parent.parent
_GRACE_S = 60.0


class Fleet:
    """Starts `tagger` commands against one pair of servers, and stops them all at the end.

    Each process runs in `folder` and writes its log to `<folder>/<name>.log`.
    """

    def __init__(
        self,
        urls: Urls,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        prefix: Sequence[str] = (),
    ) -> None:
        """Starts nothing yet.

        Args:
            urls: where the servers are.
            folder: for the logs; made if it is not there.
            settings: further environment, such as TAGGER_ALLOWED_PORTS.
            prefix: what each command starts with, such as one that enters a namespace.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        named_in_files = {f"{variable}_FILE" for variable in VARIABLES}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in named_in_files},
            "PYTHONPATH": str(_ROOT),
            "DATABASE_URL": urls.database_url,
            "REDIS_URL": urls.redis_url,
            **(settings or {}),
        }
        self._prefix = [*prefix]
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, *arguments: str) -> int:
        """Starts `tagger ARGUMENTS` in the background under a name; returns its pid."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self._command(arguments),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running[name] = process
        return process.pid

    def run(
        self, *arguments: str, stdin: bytes = b"", timeout_s: float = 120
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs `tagger ARGUMENTS` to its end."""
        return subprocess.run(
            self._command(arguments),
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def stop(self, *names: str) -> dict[str, int]:
        """Asks processes to stop, all of them by default; returns their exit codes."""
        stopping = {name: self._running.pop(name) for name in names or [*self._running]}
        for process in stopping.values():
            send(process.pid, signal.SIGTERM)
        codes: dict[str, int] = {}
        for name, process in stopping.items():
            try:
                codes[name] = process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                _kill_family(process.pid)
                codes[name] = process.wait()
        return codes

    def kill(self, name: str) -> None:
        """SIGKILLs a process and all its children at once, as the out-of-memory killer might."""
        process = self._running.pop(name)
        _kill_family(process.pid)
        process.wait()

    def exit_code(self, name: str) -> int | None:
        """The exit code of a process that has ended by itself; None while it runs."""
        return self._running[name].poll()

    def pid(self, name: str) -> int:
        """The process id of a running process."""
        return self._running[name].pid

    def log(self, name: str) -> str:
        """What a process has written so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [*self._prefix, sys.executable, "-m", "tagger", *arguments]


def _kill_family(pid: int) -> None:
    # The parent first, or it would start its children again.
    family = [pid, *children(pid)]
    for member in family:
        send(member, signal.SIGKILL)
