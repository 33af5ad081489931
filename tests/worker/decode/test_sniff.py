"""What bytes say they are: formats by their magic, sizes by their headers."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shared.errors import DecodeError, NotAnImage, Undecodable, UnsupportedFormat
from worker.decode.exif import orientation
from worker.decode.sniff import Header, sniff

PNG_START = b"\x89PNG\r\n\x1a\n"


def encode(picture: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def exif(value: int) -> bytes:
    data = Image.Exif()
    data[0x0112] = value
    return data.tobytes()


PLAIN = Image.new("RGB", (57, 31), "teal")


@pytest.mark.parametrize(
    ("body", "name", "has_alpha"),
    [
        (encode(PLAIN, "JPEG"), "jpeg", False),
        (encode(PLAIN, "JPEG", progressive=True), "jpeg", False),
        (encode(PLAIN.convert("L"), "JPEG"), "jpeg", False),
        (encode(PLAIN.convert("CMYK"), "JPEG"), "jpeg", False),
        (encode(PLAIN, "PNG"), "png", False),
        (encode(PLAIN.convert("1"), "PNG"), "png", False),
        (encode(PLAIN.convert("P"), "PNG"), "png", False),
        (encode(PLAIN.convert("P"), "PNG", transparency=0), "png", True),
        (encode(PLAIN, "PNG", transparency=(0, 0, 0)), "png", True),
        (encode(PLAIN.convert("RGBA"), "PNG"), "png", True),
        (encode(PLAIN.convert("LA"), "PNG"), "png", True),
        (encode(PLAIN, "WEBP"), "webp", False),
        (encode(PLAIN, "WEBP", lossless=True), "webp", False),
        (encode(Image.new("RGBA", PLAIN.size, (1, 2, 3, 4)), "WEBP"), "webp", True),
        (encode(Image.new("RGBA", PLAIN.size, (1, 2, 3, 4)), "WEBP", lossless=True), "webp", True),
        (encode(PLAIN, "WEBP", exif=exif(1)), "webp", False),
    ],
)
def test_the_header_tells_format_size_and_transparency(
    body: bytes, name: str, *, has_alpha: bool
) -> None:
    found = sniff(body)._replace(frame_start=0, scan_start=0)
    assert found == Header(name, 57, 31, has_alpha=has_alpha, orientation=1)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("progressive", [False, True])
def test_the_header_of_a_jpeg_tells_where_its_frame_and_its_first_scan_are(
    *, progressive: bool
) -> None:
    inner = encode(Image.new("RGB", (8, 8)), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(inner)) + b"Exif\0\0" + inner
    plain = encode(PLAIN, "JPEG", progressive=progressive)
    body = plain[:2] + segment + plain[2:]
    header = sniff(body)
    frame = b"\xff\xc2\x00\x11" if progressive else b"\xff\xc0\x00\x11"
    assert header.frame_start == body.index(frame, len(segment)) + 4
    assert header.scan_start == body.index(b"\xff\xda\x00\x0c", len(segment)) + 4
    assert sniff(encode(PLAIN, "PNG")).scan_start == 0


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("value", range(1, 9))
def test_the_header_tells_the_orientation(name: str, value: int) -> None:
    header = sniff(encode(PLAIN, name, exif=exif(value)))
    assert (header.width, header.height, header.orientation) == (57, 31, value)


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_read_in_both_byte_orders(order: str) -> None:
    mark = b"II" if order == "<" else b"MM"
    entries = struct.pack(f"{order}HHIHH", 0x0100, 3, 1, 9, 0) + struct.pack(
        f"{order}HHIHH", 0x0112, 3, 1, 6, 0
    )
    data = mark + struct.pack(f"{order}HIH", 42, 8, 2) + entries
    assert orientation(data) == 6
    assert orientation(data[:-8]) == 1
    assert orientation(data.replace(struct.pack(f"{order}H", 6), struct.pack(f"{order}H", 9))) == 1


def test_only_as_many_entries_are_read_as_a_camera_writes() -> None:
    turned = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    for before, seen in ((500, 6), (5000, 1)):
        data = b"II*\0\x08\0\0\0" + struct.pack("<H", before + 1) + bytes(12 * before) + turned
        assert orientation(data) == seen


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_the_first_exif_data_counts_and_no_more_are_read(name: str) -> None:
    one, two = (exif(value).removeprefix(b"Exif\0\0") for value in (1, 6))
    body = encode(PLAIN, name, exif=exif(6))
    if name == "JPEG":
        segment = b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(one)) + b"Exif\0\0" + one
        twice = body[:2] + segment + body[2:]
    elif name == "PNG":
        twice = body[:33] + chunk(b"eXIf", one) + body[33:]
    else:
        at = body.index(b"EXIF")
        twice = body[:at] + b"EXIF" + struct.pack("<I", len(one)) + one + body[at:]
        twice = b"RIFF" + struct.pack("<I", len(twice) - 8) + twice[8:]
    assert two in twice
    assert sniff(body).orientation == 6
    assert sniff(twice).orientation == 1


@given(st.binary(max_size=200))
def test_no_exif_raises_or_leads_astray(data: bytes) -> None:
    for start in (b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        assert 1 <= orientation(start + data) <= 8


def test_a_jpeg_may_have_fill_bytes_junk_and_many_segments_before_its_frame() -> None:
    body = encode(PLAIN, "JPEG")
    odd = body[:2] + b"\xff\xff\xff\xfe\x00\x04hi" + b"junk" + b"\xff\xec\x00\x02" * 500 + body[2:]
    assert (sniff(odd).width, sniff(odd).height) == (57, 31)


@pytest.mark.parametrize("frame", [3, 5, 6, 7, 9, 10, 11, 13, 14, 15])
def test_a_jpeg_of_a_coding_that_no_camera_writes_is_not_accepted(frame: int) -> None:
    body = encode(PLAIN, "JPEG")
    at = body.index(b"\xff\xc0")
    with pytest.raises(UnsupportedFormat, match="JPEG"):
        sniff(body[: at + 1] + bytes([0xC0 | frame]) + body[at + 2 :])


def test_the_header_tells_sixteen_bits_from_eight() -> None:
    deep = encode(Image.fromarray(np.zeros((31, 57), np.uint16)), "PNG")
    assert sniff(deep).is_deep
    for name in ("JPEG", "PNG", "WEBP"):
        assert not sniff(encode(PLAIN, name)).is_deep


def test_the_first_frame_of_a_jpeg_counts() -> None:
    body = encode(PLAIN, "JPEG")
    at = body.index(b"\xff\xda")
    second = b"\xff\xc0\x00\x0b\x08\x00\x09\x00\x09\x01\x01\x11\x00"
    assert sniff(body[:at] + second + body[at:])[1:3] == (57, 31)


def test_a_jpeg_cut_inside_its_first_scan_header_is_undecodable() -> None:
    body = encode(PLAIN, "JPEG")
    start = sniff(body).scan_start
    for cut in range(start - 4, start + 10):
        with pytest.raises(Undecodable, match="ends early"):
            sniff(body[:cut])


def test_more_segments_than_a_camera_writes_are_not_walked_to_the_end() -> None:
    body = encode(PLAIN, "JPEG")
    with pytest.raises(Undecodable, match="more segments"):
        sniff(body[:2] + b"\xff\xec\x00\x02" * 10_000 + body[2:])


def test_a_thumbnail_inside_a_jpeg_is_not_taken_for_it() -> None:
    body = encode(PLAIN, "JPEG")
    inner = encode(Image.new("RGB", (8, 8)), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(inner)) + b"Exif\0\0" + inner
    assert sniff(body[:2] + segment + body[2:]).width == 57


def test_an_animated_png_passes_as_its_first_frame() -> None:
    body = encode(PLAIN, "PNG", save_all=True, append_images=[Image.new("RGB", PLAIN.size)])
    assert b"acTL" in body
    assert sniff(body).format == "png"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (encode(PLAIN, "GIF"), "GIF"),
        (encode(PLAIN, "TIFF"), "TIFF"),
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (encode(PLAIN, "BMP"), "BMP"),
        (encode(PLAIN, "PPM"), "PPM"),
        (b"P3\n1 1\n255\n0 0 0", "PPM"),
        (encode(PLAIN, "JPEG2000"), "JPEG 2000"),
        (b"\xff\x4f\xff\x51\x00", "JPEG 2000"),
        (encode(PLAIN, "ICO"), "ICO"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0", "HEIC"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS\0\1", "PSD"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf <?xml version='1.0'?>\n<!-- x -->\n<svg/>", "SVG"),
        (
            encode(PLAIN, "WEBP", save_all=True, append_images=[Image.new("RGB", PLAIN.size)]),
            "animated WebP",
        ),
    ],
)
def test_other_pictures_are_refused_by_name(body: bytes, name: str) -> None:
    with pytest.raises(UnsupportedFormat) as caught:
        sniff(body)
    assert caught.value.detail == name


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\xff\xd8",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"<html>",
        b"<?xml version='1.0'?><rss/>",
        b'{"error": "not found"}',
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"BM",
        b"\x89PNG",
        bytes(1000),
        b"<!---->" * 1000,
    ],
)
def test_what_is_no_picture_is_not_an_image(body: bytes) -> None:
    with pytest.raises(NotAnImage):
        sniff(body)


HEADERS = {
    "jpeg": encode(PLAIN, "JPEG")[:150],
    "png": encode(PLAIN, "PNG")[:33],
    "vp8": encode(PLAIN, "WEBP")[:30],
    "vp8l": encode(PLAIN, "WEBP", lossless=True)[:25],
    "vp8x": encode(PLAIN, "WEBP", exif=exif(3))[:30],
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_ends_early_is_undecodable_wherever_it_ends(name: str) -> None:
    header = HEADERS[name]
    for length in range(12 if name.startswith("vp8") else 8, len(header)):
        with pytest.raises(Undecodable):
            sniff(header[:length])


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x01" + bytes(99),
        b"\xff\xd8\xff\xc0\x00\x04\x08\x00\xff\xda\x00\x02",
        b"\xff\xd8\xff\xda\x00\x02\xff\xd9",
        b"\xff\xd8\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x2a\xff\xd9",
        b"\xff\xd8\xff\xc0\x00\x04\x08\x01\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x2a\xff\xd9",
        encode(PLAIN, "JPEG").replace(b"\xff\xdb", b"\xff\xe5\x00\x01\xff\xdb", 1),
        b"\xff\xd8\xff\xc0\x00\x08\x08\x00\x09\x00\x09\x01\xff\xda\x00\x03\x00\x2a\xff\xd9",
        b"\xff\xd8\xff\xc0\x00\x08\x08\x00\x09\x00\x09\x01\xff\xd9",
        b"\xff\xd8" + b"\xff" * 100_000,
        b"\xff\xd8" + b"\xff\xec\x00\x02" * 100_000,
        PNG_START + chunk(b"IEND"),
        PNG_START + chunk(b"IDAT", b"x") + chunk(b"IHDR", bytes(13)),
        PNG_START + chunk(b"IHDR", bytes(12)) + chunk(b"IEND"),
        PNG_START + chunk(b"IHDR", bytes(13)) + chunk(b"IEND"),
        PNG_START + chunk(b"CgBI", bytes(4)) + chunk(b"IHDR", bytes(13)),
        PNG_START + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)) * 2,
        PNG_START
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0))
        + chunk(b"teXt") * 100_000,
        b"RIFF\x04\0\0\0WEBP",
        b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0" + bytes(10),
        b"RIFF\x16\0\0\0WEBPALPH\x0a\0\0\0" + bytes(10),
    ],
)
def test_a_header_that_contradicts_itself_is_undecodable(body: bytes) -> None:
    with pytest.raises(Undecodable):
        sniff(body)


@given(
    st.sampled_from([b"", b"\xff\xd8\xff", PNG_START, b"RIFF\xff\0\0\0WEBPVP8X", b"\0\0\0\x0c"]),
    st.binary(max_size=300),
)
def test_no_bytes_raise_anything_but_a_decode_error(start: bytes, rest: bytes) -> None:
    with suppress(DecodeError):
        sniff(start + rest)
