"""A process that gets ready, waits for a word, works and tells what came of it.

Start-up is no part of what is measured: no one's service loads TensorFlow for each photo.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self

from shared.errors import SetupError

_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_READY, _GO = "ready", "go"


class Child:
    """A Python module run as a process, and ended with all its children.

    Raises:
        SetupError (where it is spoken to): it ended early or took too long.
    """

    pid: int  #: set on entering

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        limit_s: float,
    ) -> None:
        """Starts nothing yet.

        Args:
            command: what to run, in the project's folder.
            log: where its standard error goes.
            environment: all of it.
            limit_s: it is killed when it is still there after so long.
        """
        self._command = command
        self._log = log
        self._environment = dict(environment)
        self._limit_s = limit_s

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=_ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._limit = threading.Timer(self._limit_s, self._kill)
        self._limit.daemon = True
        self._limit.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._limit.cancel()
        self._kill()
        with self._process:  # closes its pipes and waits
            pass

    def until_ready(self) -> None:
        """Waits until it says that it is."""
        self._hear(_READY)

    def work(self) -> None:
        """Tells it to start, or to go on with what comes next."""
        self._say(_GO)

    def result(self) -> dict[str, Any]:
        """Waits for what it found. It stays, with its memory, until the `with` block ends."""
        answer: dict[str, Any] = json.loads(self._hear(None))
        return answer

    def feed(self, text: str) -> int:
        """Gives it all of its input, waits for its end and returns its exit code.

        Its entry in /proc stays until the `with` block ends, so that its CPU can be read.
        """
        self._say(text)
        try:
            self._stdin.close()
        except OSError:
            raise self._gone() from None
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        return ended.si_status if ended else -1

    @property
    def _stdin(self) -> IO[str]:
        assert self._process.stdin is not None  # noqa: S101  # for the type checker
        return self._process.stdin

    def _say(self, text: str) -> None:
        try:
            self._stdin.write(f"{text}\n")
            self._stdin.flush()
        except OSError:
            raise self._gone() from None

    def _hear(self, wanted: str | None) -> str:
        assert self._process.stdout is not None  # noqa: S101  # for the type checker
        for line in self._process.stdout:
            if wanted is None or line.strip() == wanted:
                return line
        raise self._gone()

    def _gone(self) -> SetupError:
        return SetupError(f"{' '.join(self._command[-3:])} ended early; see {self._log}")

    def _kill(self) -> None:
        """Kills it and its family: pool processes outlive a parent that is only terminated."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def perform(*works: Callable[[], dict[str, Any]]) -> None:
    """The child's side: says that it is ready; at each word works once and tells; then stays."""
    # Libraries that print would be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr  # which keeps no line back
    print(_READY, file=answers, flush=True)
    for work in works:
        if sys.stdin.readline().strip() != _GO:
            return
        print(json.dumps(work()), file=answers, flush=True)
    sys.stdin.read()
