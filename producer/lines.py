"""Event lines out of a stream, in batches that never wait for more to come."""

import itertools
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from shared.errors import EventError

#: A batch is not added to once it has as much.
_BATCH_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an event stream, without its end, and where it stood."""

    raw: bytes  #: without its end; only the beginning of one that is too long
    source: str
    length: int  #: bytes of the whole line
    error: EventError | None = None  #: why it is no event, where that is known already
    #: Nobody wrote it as an event, so it is never read as one, whatever it looks like.
    foreign: bool = False


def read_lines(stream: BinaryIO, name: str, max_bytes: int) -> Iterator[Line]:
    """The lines that are not blank, in bounded memory.

    Of a line longer than `max_bytes` only the beginning is kept, one byte more than that.
    """
    for number in itertools.count(1):
        raw = stream.readline(max_bytes + 1)
        if not raw:
            return
        rest, dropped = raw, 0
        while not rest.endswith(b"\n") and len(rest) == max_bytes + 1:
            rest = stream.readline(max_bytes + 1)
            dropped += len(rest.rstrip(b"\r\n"))
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
        if raw.strip():
            yield Line(raw, f"{name}:{number}", len(raw) + dropped)


def batches(lines: Iterator[Line], size: int) -> Iterator[list[Line]]:
    """Batches of up to `size` lines: as many as are there, at least one.

    A marketplace that pipes its events in sees each recorded at once, and a large file is
    still recorded in large transactions. Long lines make smaller batches.
    """
    ahead = _Ahead(size)
    threading.Thread(target=ahead.fill, args=(lines,), daemon=True, name="event-lines").start()
    while batch := ahead.take():
        yield batch


class _Ahead:
    """Lines that were read and not taken yet, within bounds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: deque[Line] = deque()
        self._bytes = 0
        self._ended = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()

    def fill(self, lines: Iterator[Line]) -> None:
        """Reads all; waits while as much as one batch is there."""
        try:
            for line in lines:
                with self._changed:
                    self._changed.wait_for(self._has_room)
                    self._lines.append(line)
                    self._bytes += len(line.raw)
                    self._changed.notify()
        except BaseException as error:  # noqa: BLE001  # raised again where lines are taken
            self._failure = error
        with self._changed:
            self._ended = True
            self._changed.notify()

    def take(self) -> list[Line]:
        """All that is there, once something is; nothing at the end.

        Raises:
            BaseException: what reading ended with, after the last line.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._ended)
            batch = [*self._lines]
            self._lines.clear()
            self._bytes = 0
            self._changed.notify()
        if not batch and self._failure is not None:
            raise self._failure
        return batch

    def _has_room(self) -> bool:
        return len(self._lines) < self._most and self._bytes < _BATCH_BYTES
