"""A `tagger produce -` that stays, fed through a pipe as a marketplace would."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, cast

from shared.errors import SetupError

_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_END_S: Final = 60.0


class Producer:
    """The process; it takes events until `end`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self.events = cast("BinaryIO", process.stdin)

    def end(self) -> None:
        """Lets it end, and waits until it has recorded everything.

        Raises:
            SetupError: it does not end well.
        """
        self.events.close()
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            raise SetupError(f"tagger produce is at work {_END_S:.0f} s after its end") from None
        if code:
            raise SetupError(f"tagger produce: exit code {code}")


@contextmanager
def producing(environment: Mapping[str, str], log: Path) -> Generator[Producer]:
    """Starts it; kills it where it has not ended by itself."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tagger", "produce", "-"],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Producer(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(BrokenPipeError), process:  # closes its pipe and waits
            pass
