"""What a photo's bytes say they are, read from the header without decoding (pure).

The bytes decide, never a name or a content type.
"""

import re
from typing import Final, Literal, NamedTuple

from shared.errors import NotAnImage, Undecodable, UnsupportedFormat
from worker.decode.containers import (
    EOI,
    JPEG_START,
    PNG_START,
    SOS,
    jpeg_segments,
    png_chunks,
    webp_chunks,
)
from worker.decode.exif import UPRIGHT, orientation

Format = Literal["jpeg", "png", "webp"]

#: SOF0 to SOF15 without DHT, JPG and DAC, which share their range.
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Baseline, extended sequential and progressive, Huffman-coded. No camera or browser writes the
#: lossless, hierarchical and arithmetic ones, and the decoder's code for them is rarely run.
_KNOWN_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_APP1: Final = 0xE1
_EXIF: Final = b"Exif\0\0"

#: Formats that are known and refused. OpenCV would decode many of them; fewer decoders
#: are fewer holes.
_REFUSED: Final = {
    "GIF": rb"GIF8[79]a",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "BMP": rb"BM.{8}",
    "JPEG 2000": rb"\0\0\0\x0cjP  \r\n|\xff\x4f\xff\x51",
    "JPEG XL": rb"\0\0\0\x0cJXL |\xff\x0a",
    "JPEG XR": rb"II\xbc",
    "AVIF": rb".{4}ftypavi[fs]",
    "HEIC": rb".{4}ftyp(hei[cfmsx]|hev[cmsx]|mif1|msf1)",
    "PPM": rb"P[1-7Ff]\s",
    "ICO": rb"\0\0[\x01\x02]\0.\0",
    "PSD": rb"8BPS",
    "HDR": rb"#\?R",
    "EXR": rb"v/1\x01",
    "Sun raster": rb"Y\xa6j\x95",
}
_REFUSED_FORMATS: Final = {
    name: re.compile(pattern, re.DOTALL) for name, pattern in _REFUSED.items()
}
_SVG_STARTS: Final = (b"<svg", b"<?xml", b"<!--", b"<!DOCTYPE svg")
_TEXT_BYTES: Final = 4096  # how far an SVG's root element is looked for


class Header(NamedTuple):
    """A picture as its header claims it: pixels as stored, before `orientation` is applied."""

    format: Format
    width: int
    height: int
    has_alpha: bool  #: pixels may be transparent in any way
    orientation: int  #: EXIF's, 1 (upright) to 8
    is_deep: bool = False  #: 16 bits a channel
    #: Where a JPEG's frame header (SOF) and first scan header (SOS) have their content, at
    #: least 6 bytes each (ITU-T T.81, B.2.2 and B.2.3); 0 in other formats.
    frame_start: int = 0
    scan_start: int = 0


def sniff(body: bytes) -> Header:
    """The header of a JPEG, PNG or still WebP.

    Raises:
        NotAnImage: nothing that is known as a picture.
        UnsupportedFormat: a picture in another format, which the detail names.
        Undecodable: the header ends early or contradicts itself.
    """
    if body.startswith(JPEG_START):
        header = _jpeg(body)
    elif body.startswith(PNG_START):
        header = _png(body)
    elif body.startswith(b"RIFF") and body[8:12] == b"WEBP":
        header = _webp(body)
    else:
        raise _refusal(body[:_TEXT_BYTES])
    if not header.width or not header.height:
        raise Undecodable("has no pixels")
    return header


def _refusal(start: bytes) -> NotAnImage | UnsupportedFormat:
    for name, pattern in _REFUSED_FORMATS.items():
        if pattern.match(start):
            return UnsupportedFormat(name)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_SVG_STARTS) and b"<svg" in start:
        return UnsupportedFormat("SVG")
    return NotAnImage("" if start else "empty")


def _jpeg(body: bytes) -> Header:
    width = height = frame = 0
    turned: int | None = None
    for marker, start, end in jpeg_segments(body):
        if marker in _FRAMES and not frame:
            if end - start < 6:
                raise Undecodable("the header ends early")
            if marker not in _KNOWN_FRAMES:
                raise UnsupportedFormat("JPEG of a rare coding")
            frame = start
            height = int.from_bytes(body[start + 1 : start + 3])
            width = int.from_bytes(body[start + 3 : start + 5])
        elif marker == _APP1 and turned is None and body.startswith(_EXIF, start):
            turned = orientation(body[start + len(_EXIF) : end])
        elif marker == SOS:
            if end - start < 6:
                raise Undecodable("the header ends early")
            return Header("jpeg", width, height, False, turned or UPRIGHT, False, frame, start)
        elif marker == EOI:
            break
    raise Undecodable("ends without a picture")


def _png(body: bytes) -> Header:
    width = height = 0
    has_alpha = is_deep = False
    turned: int | None = None
    for number, (kind, start, end) in enumerate(png_chunks(body)):
        if (number == 0) != (kind == b"IHDR") or (number == 0 and end - start != 13):
            raise Undecodable("does not start with one header")
        if kind == b"IHDR":
            width = int.from_bytes(body[start : start + 4])
            height = int.from_bytes(body[start + 4 : start + 8])
            has_alpha = body[start + 9] in {4, 6}
            is_deep = body[start + 8] == 16
        elif kind == b"tRNS":
            has_alpha = True
        elif kind == b"eXIf" and turned is None:
            turned = orientation(body[start:end])
        elif kind == b"IDAT":
            break
    return Header("png", width, height, has_alpha, turned or UPRIGHT, is_deep)


def _webp(body: bytes) -> Header:
    header: Header | None = None
    turned: int | None = None
    for kind, start, end in webp_chunks(body):
        if header is None:
            header = _webp_first(kind, body[start : min(end, start + 10)])
        elif kind == b"EXIF" and turned is None:
            turned = orientation(body[start:end].removeprefix(_EXIF))
    if header is None:
        raise Undecodable("the header ends early")
    return header._replace(orientation=turned or UPRIGHT)


def _webp_first(kind: bytes, data: bytes) -> Header:
    """The header out of the first chunk (RFC 9649, section 2)."""
    if len(data) < (5 if kind == b"VP8L" else 10):
        raise Undecodable("the header ends early")
    if kind == b"VP8X":
        if data[0] & 0x02:
            raise UnsupportedFormat("animated WebP")
        width, height = (1 + int.from_bytes(data[i : i + 3], "little") for i in (4, 7))
        return Header("webp", width, height, bool(data[0] & 0x10), UPRIGHT)
    if kind == b"VP8L" and data[0] == 0x2F:
        bits = int.from_bytes(data[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        return Header("webp", width, height, bool(bits >> 28 & 1), UPRIGHT)
    if kind == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(data[i : i + 2], "little") & 0x3FFF for i in (6, 8))
        return Header("webp", width, height, has_alpha=False, orientation=UPRIGHT)
    raise Undecodable("does not start with a picture")
