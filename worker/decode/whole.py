"""Whether all of a picture's bytes are there, as far as that shows without decoding (pure).

Decoders fill what is missing with grey, or with what their memory held before, and call
the result a picture.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from shared.errors import Undecodable
from worker.decode.containers import JPEG_END, png_chunks, webp_chunks
from worker.decode.sniff import Header

#: Some encoders deflate a little more than the pixels.
_SLACK_BYTES: Final = 1 << 16
_PIECE_BYTES: Final = 1 << 18
#: Samples a pixel by colour type (PNG, 11.2.1).
_PNG_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: Where the first pixel of each pass is, across and down, and how far it is to the next one.
_ONE_PASS: Final = ((0, 0, 1, 1),)
_ADAM7: Final = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip


def check_whole(body: bytes, header: Header) -> None:
    """Refuse a picture that was cut short or damaged.

    Raises:
        Undecodable: it was.
    """
    if header.format == "jpeg":
        _check_jpeg(body, header)
    elif header.format == "png":
        _check_png(body, header)
    else:
        for _ in webp_chunks(body):
            pass


def _check_jpeg(body: bytes, header: Header) -> None:
    data = header.scan_start - 2 + int.from_bytes(body[header.scan_start - 2 : header.scan_start])
    # In a scan every FF is followed by 00, so this cannot be found by chance.
    end = body.rfind(JPEG_END, data)
    if end < 0:
        raise Undecodable("ends early")
    # Each block of 8x8 takes a Huffman code at least, and that is one bit at least.
    blocks = -(-header.width // 8) * -(-header.height // 8)
    if (end - data) * 8 < blocks:
        raise Undecodable("claims more pixels than its bytes can hold")


def _check_png(body: bytes, header: Header) -> None:
    try:
        _check_inflates(_pixel_data(body), _raw_bytes(body, header))
    except zlib.error:
        raise Undecodable("its data cannot be inflated") from None


def _raw_bytes(body: bytes, header: Header) -> int:
    """What the pixels of a PNG inflate to (PNG, 7.2 and 8.2)."""
    depth, colour, _, _, interlace = body[24:29]
    samples = _PNG_SAMPLES.get(colour, 0)
    if not samples or depth not in {1, 2, 4, 8, 16} or interlace > 1:
        raise Undecodable("its header makes no sense")
    raw = 0
    for first_across, first_down, across, down in _ADAM7 if interlace else _ONE_PASS:
        columns = -(-(header.width - first_across) // across)
        rows = -(-(header.height - first_down) // down)
        if columns > 0 and rows > 0:
            raw += rows * (1 + -(-columns * samples * depth // 8))  # each row with its filter
    return raw


def _pixel_data(body: bytes) -> Iterator[memoryview]:
    """What the IDAT chunks of a PNG hold; all chunks are checked on the way."""
    view = memoryview(body)
    for kind, start, end in png_chunks(body):
        if zlib.crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise Undecodable("a checksum is wrong")
        if kind == b"IDAT":
            yield view[start:end]


def _check_inflates(chunks: Iterable[memoryview], size: int) -> None:
    # libpng inflates to the end whatever comes, and that may be a thousand times as much. Of
    # rows that do not come, it leaves what was in their memory.
    inflater = zlib.decompressobj()
    found = 0
    for chunk in chunks:
        part: bytes | memoryview = chunk
        while len(part):
            found += len(inflater.decompress(part, _PIECE_BYTES))
            if found > size + _SLACK_BYTES:
                raise Undecodable("holds more than its pixels")
            part = inflater.unconsumed_tail
    if found + len(inflater.flush()) < size:
        raise Undecodable("holds less than its pixels")
