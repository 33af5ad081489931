"""Whether all of a picture's bytes are there, as far as that shows without decoding (pure).

Decoders fill what is missing with grey, or with what their memory held before, and call
the result a picture.
"""

import zlib
from typing import Final

from shared.errors import Undecodable
from worker.decode.containers import JPEG_END, png_chunks, webp_chunks
from worker.decode.sniff import Header

#: Baseline, extended sequential and progressive, Huffman-coded.
_HUFFMAN_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})


def check_whole(body: bytes, header: Header) -> None:
    """Refuse a picture that was cut short or damaged.

    Raises:
        Undecodable: it was.
    """
    if header.format == "jpeg":
        _check_jpeg(body, header)
    elif header.format == "png":
        _check_png(body)
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


def _check_png(body: bytes) -> None:
    view = memoryview(body)
    for _, start, end in png_chunks(body):
        if zlib.crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise Undecodable("a checksum is wrong")
