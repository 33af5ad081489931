"""Keeps processes running, and stops them in good order."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType

import structlog

log = structlog.get_logger()

#: sysexits.h EX_CONFIG: starting it again cannot help.
EXIT_SETUP = 78
#: A process that lived this long was well.
WELL_S = 60.0
_LOOK_S = 0.2
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


@dataclass(slots=True)
class _Child:
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    started_at: float = 0
    start_at: float = 0
    pause_s: float = _FIRST_PAUSE_S


class Supervisor:
    """Runs commands as child processes until SIGTERM or SIGINT, and restarts those that die."""

    def __init__(
        self,
        commands: Sequence[list[str]],
        *,
        grace_s: float,
        hopeless: int | None = None,
        called: str = "worker",
        well_s: float = WELL_S,
    ) -> None:
        """Starts nothing yet.

        Args:
            commands: one a process.
            grace_s: how long a process may take to stop before it is killed.
            hopeless: the exit code of a first start that no other start can mend.
            called: what the log calls these processes.
            well_s: a process that lived this long was well: if it ended by itself it is started
                again at once, and its next failure starts from a short pause.
        """
        self._children = [_Child(command) for command in commands]
        self._grace_s = grace_s
        self._hopeless = hopeless
        self._died, self._killed = f"{called}.died", f"{called}.killed"
        self._recycled = f"{called}.recycled"
        self._well_s = well_s
        self._stop = threading.Event()

    def run(self) -> int:
        """Works until stopped; returns 0, or the code of a process that is hopeless."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        code = 0
        while not self._stop.is_set() and code == 0:
            for child in self._children:
                code = code or self._look_after(child)
            self._stop.wait(_LOOK_S)
        self._shut_down()
        return code

    def _look_after(self, child: _Child) -> int:
        """Starts a child that should run; returns the code of one that is hopeless, or 0.

        Only a first start can be hopeless: a model folder that broke later must not stop the
        processes that still serve the one they loaded.
        """
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                # A session of its own: Ctrl-C reaches the supervisor alone, which stops them all.
                child.process = subprocess.Popen(child.command, start_new_session=True)
                child.started_at = now
                child.starts += 1
            return 0
        pid, code = child.process.pid, child.process.poll()
        if code is None:
            return 0
        if code == self._hopeless and child.starts == 1:
            return code
        child.process = None
        if now - child.started_at > self._well_s:
            child.pause_s = _FIRST_PAUSE_S
            if code == 0:
                log.info(self._recycled, pid=pid)
                return 0
        log.error(self._died, pid=pid, code=code, restart_in_s=child.pause_s)
        child.start_at = now + child.pause_s
        child.pause_s = min(child.pause_s * 2, _LONGEST_PAUSE_S)
        return 0

    def _shut_down(self) -> None:
        running = [c.process for c in self._children if c.process and c.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self._grace_s
        for process in running:
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error(  # noqa: TRY400
                    self._killed, pid=process.pid, grace_s=self._grace_s
                )
                process.kill()
                process.wait()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        log.info("supervisor.stopping", signal=signal.Signals(number).name)
        self._stop.set()


def end_with(supervisor: int) -> None:
    """Stops this process, warmly, when its supervisor (a process id) has died."""

    def watch() -> None:
        while os.getppid() == supervisor:
            time.sleep(1)
        log.warning("supervisor.gone")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="orphan-watch").start()
