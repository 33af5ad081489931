"""Lines come whole, bounded, and without waiting for more."""

import io
import os
import threading
from collections.abc import Iterator

import pytest

from producer.lines import Line, batches, read_lines


def _read(raw: bytes, limit: int = 10) -> list[tuple[bytes, str]]:
    return [(line.raw, line.source) for line in read_lines(io.BytesIO(raw), "f", limit)]


def test_lines_know_where_they_stood_and_blank_ones_are_skipped() -> None:
    assert _read(b"a\n\n \r\nb\r\nc") == [(b"a", "f:1"), (b"b", "f:4"), (b"c", "f:5")]


def test_a_line_that_is_too_long_keeps_its_beginning_and_the_next_one_is_whole() -> None:
    long, following = read_lines(io.BytesIO(b"x" * 35 + b"\nnext\n"), "f", 10)
    assert (long.raw, long.length) == (b"x" * 11, 35)
    assert following.raw == b"next"


def test_a_file_comes_in_full_batches() -> None:
    lines = read_lines(io.BytesIO(b"a\n" * 25), "f", 10)
    taken = list(batches(lines, 10))
    assert sum(len(batch) for batch in taken) == 25
    assert max(len(batch) for batch in taken) <= 10


def test_of_long_lines_few_are_read_ahead_and_batches_are_small() -> None:
    made: list[Line] = []
    too_many = threading.Event()

    def lines() -> Iterator[Line]:
        for number in range(100):
            if len(made) > 40:
                too_many.set()
            made.append(Line(b"x" * (1 << 20), f"f:{number}", 1 << 20))
            yield made[-1]

    taken = batches(lines(), 500)
    seen = len(next(taken))
    assert not too_many.wait(1)
    for batch in taken:
        assert len(batch) <= 16
        seen += len(batch)
        assert len(made) <= seen + 17
    assert seen == 100


def test_a_line_in_a_pipe_is_not_held_back_until_more_come() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream:
        taken = batches(read_lines(stream, "pipe", 100), 500)
        os.write(writing, b"one\n")
        answer: list[list[bytes]] = []
        thread = threading.Thread(target=lambda: answer.append([x.raw for x in next(taken)]))
        thread.start()
        thread.join(5)
        assert answer == [[b"one"]]
        os.close(writing)
        assert list(taken) == []


def test_a_stream_that_fails_says_so_after_what_was_read() -> None:
    class Broken(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            line = super().readline(size)
            if not line:
                raise OSError("the disk is gone")
            return line

    taken = batches(read_lines(Broken(b"a\n"), "f", 10), 5)
    assert [line.raw for line in next(taken)] == [b"a"]
    with pytest.raises(OSError, match="the disk is gone"):
        list(taken)
