"""The parts that JPEG, PNG and WebP files are made of, walked without decoding (pure)."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from shared.errors import Undecodable

JPEG_START: Final = b"\xff\xd8\xff"
JPEG_END: Final = b"\xff\xd9"
PNG_START: Final = b"\x89PNG\r\n\x1a\n"

#: No camera or editor writes more; a file made of empty parts would take minutes to walk.
MAX_PARTS: Final = 1 << 16

_SOS: Final = 0xDA
#: Markers that stand alone: TEM, RST0 to RST7, SOI.
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})


class Part(NamedTuple):
    """A segment or chunk: its kind and where its content is in the file (end exclusive)."""

    kind: bytes
    start: int
    end: int


def jpeg_segments(body: bytes) -> Iterator[Part]:
    """The marker segments up to and including the first SOS (ITU-T T.81, annex B).

    Bytes between segments are skipped as libjpeg skips them.

    Raises:
        Undecodable: the file ends, or the picture does, before a scan starts.
    """
    at = 2
    for _ in range(MAX_PARTS):
        at = body.find(b"\xff", at)
        while 0 <= at < len(body) and body[at] == 0xFF:  # fill bytes
            at += 1
        if at < 0 or at >= len(body):
            raise Undecodable("the header ends early")
        marker = body[at]
        at += 1
        if marker == 0x00 or marker in _BARE:
            continue
        if marker == JPEG_END[1]:
            raise Undecodable("ends without a picture")
        end = at + int.from_bytes(body[at : at + 2])
        if end < at + 2 or end > len(body):
            raise Undecodable("the header ends early")
        yield Part(bytes([marker]), at + 2, end)
        if marker == _SOS:
            return
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
