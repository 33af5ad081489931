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

#: Baseline, extended sequential and progressive, Huffman-coded.
_SLACK_BYTES: Final = 1 << 10
_PIECE_BYTES: Final = 1 << 18
_HUFFMAN_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})


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
    if (end - data) * 8 < blocks and body[header.frame_start - 3] in _HUFFMAN_FRAMES:
        raise Undecodable("claims more pixels than its bytes can hold")


def _check_png(body: bytes, header: Header) -> None:
    # Eight bytes a pixel at most, a byte a row, and the short rows of interlacing.
    most = 2 * header.height * (1 + 8 * header.width) + _SLACK_BYTES
    try:
        _check_inflates(_pixel_data(body), most)
    except zlib.error:
        raise Undecodable("its data cannot be inflated") from None


def _pixel_data(body: bytes) -> Iterator[memoryview]:
    """What the IDAT chunks of a PNG hold; all chunks are checked on the way."""
    view = memoryview(body)
    for kind, start, end in png_chunks(body):
        if zlib.crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise Undecodable("a checksum is wrong")
        if kind == b"IDAT":
            yield view[start:end]


def _check_inflates(chunks: Iterable[memoryview], most: int) -> None:
    # libpng inflates to the end whatever comes, and that may be a thousand times as much.
    inflater = zlib.decompressobj()
    found = 0
    for chunk in chunks:
        part: bytes | memoryview = chunk
        while len(part):
            found += len(inflater.decompress(part, _PIECE_BYTES))
            if found > most:
                raise Undecodable("holds more than its pixels")
            part = inflater.unconsumed_tail
