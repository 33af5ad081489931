"""Event lines out of a stream, in batches that never wait for more to come."""

import itertools
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from shared.errors import EventError


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an event stream, without its end, and where it stood."""

    raw: bytes  #: without its end; only the beginning of one that is too long
    source: str
    length: int  #: bytes of the whole line
    error: EventError | None = None  #: why it is no event, where that is known already


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
    still recorded in large transactions.
    """
    read: queue.Queue[Line | BaseException | None] = queue.Queue(maxsize=size)

    def fill() -> None:
        try:
            for line in lines:
                read.put(line)
        except BaseException as error:  # noqa: BLE001  # raised again where batches are taken
            read.put(error)
        else:
            read.put(None)

    threading.Thread(target=fill, daemon=True, name="event-lines").start()
    item = read.get()
    while isinstance(item, Line):
        batch = [item]
        while len(batch) < size and not read.empty() and isinstance(item := read.get(), Line):
            batch.append(item)
        yield batch
        if isinstance(item, Line):
            item = read.get()
    if item is not None:
        raise item
