"""The parts that JPEG, PNG and WebP files are made of, walked without decoding (pure)."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from shared.errors import Undecodable

JPEG_START: Final = b"\xff\xd8\xff"
JPEG_END: Final = b"\xff\xd9"
PNG_START: Final = b"\x89PNG\r\n\x1a\n"

SOS: Final = 0xDA
EOI: Final = 0xD9
DQT: Final = 0xDB

#: A PNG of 10 MB has 1,300, in the chunks of 8 KB that libpng writes, and a JPEG 200. Each takes
#: about a microsecond to walk, on the thread that all photos of a process share.
MAX_PARTS: Final = 1 << 13

_FIRST_MARKER: Final = 0xC0
#: What FF may be followed by without a segment: a stuffed 00, TEM, RST0 to RST7, SOI, fill.
_NO_SEGMENT: Final = frozenset({0x00, 0x01, *range(0xD0, 0xD9), 0xFF})
_NEXT_SEGMENT: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]").search

#: A JPEG's segment: its marker (FF left out) and where its content is in the file (end
#: exclusive). A plain tuple, because making a named one takes longer than the rest of the walk.
Segment = tuple[int, int, int]


class Part(NamedTuple):
    """A chunk: its kind and where its content is in the file (end exclusive)."""

    kind: bytes
    start: int
    end: int


def jpeg_segments(body: bytes) -> Iterator[Segment]:
    """The marker segments up to and including EOI, which is empty (ITU-T T.81, annex B).

    Bytes between segments are skipped as libjpeg skips them, and so are a scan's data.

    Raises:
        Undecodable: the file ends before EOI.
    """
    at, size = 2, len(body)
    for _ in range(MAX_PARTS):
        # Nearly always the next segment begins where the last one ends.
        if at + 1 < size and body[at] == 0xFF and body[at + 1] not in _NO_SEGMENT:
            at += 2
        elif found := _NEXT_SEGMENT(body, at):
            at = found.end()
        else:
            raise Undecodable("ends early")
        marker = body[at - 1]
        if marker < _FIRST_MARKER:
            # Reserved. A decoder may walk into what we would skip, and find scans there.
            raise Undecodable("holds a reserved segment")
        if marker == EOI:
            yield EOI, at, at
            return
        end = at + int.from_bytes(body[at : at + 2])
        if end < at + 2 or end > size:
            raise Undecodable("ends early")
        yield marker, at + 2, end
        at = end
    raise Undecodable("more segments than a picture has")


def png_chunks(body: bytes) -> Iterator[Part]:
    """The chunks up to and including IEND; each is followed by its CRC, 4 bytes at `end`.

    Raises:
        Undecodable: the file ends before IEND does.
    """
    at = len(PNG_START)
    for _ in range(MAX_PARTS):
        start = at + 8
        end = start + int.from_bytes(body[at : at + 4])
        if end + 4 > len(body):
            raise Undecodable("ends early")
        kind = body[at + 4 : start]
        yield Part(kind, start, end)
        if kind == b"IEND":
            return
        at = end + 4
    raise Undecodable("more chunks than a picture has")


def webp_chunks(body: bytes) -> Iterator[Part]:
    """The chunks of a RIFF file that starts with `RIFF....WEBP`, padding left out.

    Raises:
        Undecodable: the file ends before the size that it names.
    """
    at, size = 12, 8 + int.from_bytes(body[4:8], "little")
    for _ in range(MAX_PARTS):
        if at + 8 > size:
            return
        start = at + 8
        end = start + int.from_bytes(body[at + 4 : start], "little")
        if end > min(size, len(body)):
            raise Undecodable("ends early")
        yield Part(body[at : at + 4], start, end)
        at = end + (end - start) % 2
    raise Undecodable("more chunks than a picture has")
