"""The frame and the scans of a JPEG, read from their headers without decoding (pure)."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from shared.errors import Undecodable
from worker.decode.containers import EOI, SOS, jpeg_segments
from worker.decode.sniff import Header

#: Progressive, Huffman-coded (SOF2).
PROGRESSIVE: Final = 0xC2
#: libjpeg writes 10 for a colour photo and 18 for CMYK, others fewer than 25. Every scan walks
#: over all blocks of the picture, however few bytes it has: 15 to 20 ms at 40 megapixels.
MAX_SCANS: Final = 32

_SOS_MARKER: Final = bytes([0xFF, SOS])


class Component(NamedTuple):
    """A colour plane of a frame (ITU-T T.81, B.2.2)."""

    id: int
    across: int  #: horizontal sampling factor
    down: int  #: vertical sampling factor
    table: int  #: which quantisation table


class Scan(NamedTuple):
    """What a scan sends (ITU-T T.81, B.2.3) and where it is in the file."""

    components: tuple[int, ...]  #: their ids
    first: int  #: Ss, the first coefficient in zigzag order: 0 is DC
    last: int  #: Se, the last one
    high: int  #: Ah: 0 where bits are sent for the first time, else the lowest bit sent before
    low: int  #: Al, the lowest bit sent
    start: int  #: where its SOS marker begins
    end: int  #: where its data ends and the next marker begins


def has_several_scans(body: bytes, header: Header) -> bool:
    """Whether a JPEG's decoder goes on to further scans after its first one."""
    in_frame, in_scan = body[header.frame_start + 5], body[header.scan_start]
    return in_scan < in_frame or frame_kind(body, header) == PROGRESSIVE


def check_scans(body: bytes, header: Header) -> None:
    """Refuse a JPEG of more than `MAX_SCANS`.

    Raises:
        Undecodable: it is one.
    """
    # Counting the bytes of SOS is quick, and there are no fewer of them than scans.
    if body.count(_SOS_MARKER, header.scan_start) >= MAX_SCANS:
        for _ in scans(body):
            pass


def frame_kind(body: bytes, header: Header) -> int:
    """The SOF marker of a JPEG, 0xC0 to 0xC2."""
    return body[header.frame_start - 3]  # before its length, 2 bytes


def components(body: bytes, header: Header) -> tuple[Component, ...]:
    """The components of a JPEG's frame.

    Raises:
        Undecodable: it has none, or two of one id, its header is not as long as so many take,
            or a sampling factor is not 1 to 4.
    """
    start = header.frame_start
    length, count = int.from_bytes(body[start - 2 : start]), body[start + 5]
    if not count or length != 8 + 3 * count:
        raise Undecodable("a header is not as long as it claims")
    found = tuple(
        Component(body[at], body[at + 1] >> 4, body[at + 1] & 15, body[at + 2])
        for at in range(start + 6, start + 6 + 3 * count, 3)
    )
    if not all(1 <= one.across <= 4 and 1 <= one.down <= 4 for one in found):
        raise Undecodable("a sampling factor is not 1 to 4")
    if len({one.id for one in found}) < count:
        raise Undecodable("two components have one id")
    return found


def scans(body: bytes) -> Iterator[Scan]:
    """The scans of a JPEG up to its EOI, in the order of the file.

    Raises:
        Undecodable: the file ends before EOI, a scan header has a wrong length, or there are
            more than `MAX_SCANS`.
    """
    found, header = 0, None
    for marker, start, end in jpeg_segments(body):
        if header is not None:
            yield _scan(body, *header, start - (2 if marker == EOI else 4))
            header = None
        if marker == SOS:
            found += 1
            if found > MAX_SCANS:
                raise Undecodable("more scans than a picture has")
            header = (start, end)


def _scan(body: bytes, start: int, end: int, data_end: int) -> Scan:
    """The scan whose header has its content from `start` to `end`."""
    if not body[start] or end - start != 4 + 2 * body[start]:
        raise Undecodable("a header is not as long as it claims")
    first, last, bits = body[end - 3 : end]
    ids = tuple(body[start + 1 : end - 3 : 2])
    return Scan(ids, first, last, bits >> 4, bits & 15, start - 4, data_end)
