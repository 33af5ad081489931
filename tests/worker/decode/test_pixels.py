"""Every picture becomes the pixels of its plain twin, and no damaged one becomes a picture."""

import io
import os
import struct
import tracemalloc
import zlib
from contextlib import suppress
from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from shared.errors import (
    Blank,
    DecodeError,
    NotAnImage,
    TooManyPixels,
    TooSmall,
    Undecodable,
    UnsupportedFormat,
)
from worker.decode.pixels import BGR_BILINEAR, RGB_AREA, configure, decode, to_pixels
from worker.decode.sniff import sniff

Pixels = NDArray[np.uint8]


def pixels(body: bytes, *, width: int = 35, height: int = 35, most: int = 50_000_000) -> Pixels:
    return to_pixels(
        body, width=width, height=height, max_photo_pixels=most, min_photo_elements=1000
    )


def encode(picture: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def photo(width: int, height: int, *, seed: int = 1) -> Image.Image:
    """Smooth colours without any symmetry, so that each way of turning it shows."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def area(picture: Image.Image, width: int = 35, height: int = 35) -> Pixels:
    """The exact mean of each area, by arithmetic."""

    def overlaps(size: int, cells: int) -> NDArray[np.float64]:
        edges = np.linspace(0, size, cells + 1)[:, None]
        pixel = np.arange(size)[None, :]
        shared = np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel)
        return np.clip(shared, 0, None) * cells / size

    stored = np.asarray(picture.convert("RGB")).astype(np.float64)
    rows, columns = overlaps(picture.height, height), overlaps(picture.width, width)
    means = np.stack([rows @ stored[:, :, i] @ columns.T for i in range(3)], axis=2)
    return np.rint(means).astype(np.uint8)


def difference(one: Pixels, other: Pixels) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def exif(value: int) -> bytes:
    data = Image.Exif()
    data[0x0112] = value
    return data.tobytes()


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    idat = zlib.compress(data, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", idat) + chunk(b"IEND")


PHOTO = photo(300, 220)
PLAIN = encode(PHOTO, "PNG")
CAMERA = encode(PHOTO, "JPEG", quality=92)
BROKEN_PROFILE = b"ICC_PROFILE\0 this is not one"


# The pixels


def test_pixels_are_contiguous_rgb_bytes_of_the_asked_shape() -> None:
    picture = Image.new("RGB", (300, 200), (200, 100, 50))
    picture.paste((1, 2, 3), (150, 0, 300, 200))
    result = pixels(encode(picture, "PNG"), width=40, height=20)
    assert (result.shape, result.dtype) == ((20, 40, 3), np.dtype(np.uint8))
    assert result.flags.c_contiguous
    assert (result[:, :20] == (200, 100, 50)).all()
    assert (result[:, 20:] == (1, 2, 3)).all()


@pytest.mark.parametrize("size", [(35, 35), (71, 69), (139, 150), (300, 220), (640, 200)])
@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
def test_pixels_are_the_means_of_their_areas_at_every_size(
    name: str, size: tuple[int, int]
) -> None:
    picture = photo(*size)
    options = {"JPEG": {"quality": 97, "subsampling": 0}, "WEBP": {"lossless": True}}
    body = encode(picture, name, **options.get(name, {}))
    assert difference(pixels(body), area(picture)) < (2 if name == "JPEG" else 0.5)


@pytest.mark.parametrize("size", [70, 140, 141, 279, 280, 281, 560, 563, 1201])
def test_decoding_at_a_fraction_hardly_changes_a_pixel(size: int) -> None:
    picture = photo(size, size)
    body = encode(picture, "JPEG", quality=97, subsampling=0)
    assert difference(pixels(body), area(picture)) < 3


@pytest.mark.parametrize("body", [PLAIN, CAMERA])
def test_the_notebooks_pixels_are_those_of_a_plain_resize_in_opencvs_order(body: bytes) -> None:
    decoded = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    expected = cv2.resize(decoded, (40, 20), interpolation=cv2.INTER_LINEAR)
    result = to_pixels(
        body,
        width=40,
        height=20,
        max_photo_pixels=10**6,
        min_photo_elements=1000,
        preprocessing=BGR_BILINEAR,
    )
    assert np.array_equal(result, expected)


def test_a_preprocessing_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no preprocessing is called 'hsv'"):
        to_pixels(
            PLAIN,
            width=35,
            height=35,
            max_photo_pixels=10**6,
            min_photo_elements=1000,
            preprocessing="hsv",
        )


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
def test_a_header_that_is_known_already_changes_nothing(name: str) -> None:
    body = encode(PHOTO, name, exif=exif(6))
    decoded = partial(
        to_pixels, body, width=40, height=20, max_photo_pixels=10**6, min_photo_elements=0
    )
    assert np.array_equal(decoded(header=sniff(body)), decoded())
    with pytest.raises(TooManyPixels):  # it is believed, not read again
        decoded(header=sniff(body)._replace(width=10**6))


@pytest.mark.parametrize("name", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(35, 35), (35, 70), (20, 35)])
def test_a_picture_that_has_the_size_asked_for_keeps_its_pixels(
    name: str, size: tuple[int, int]
) -> None:
    picture = photo(*size)
    body = encode(picture, name, **({"quality": 97, "subsampling": 0} if name == "JPEG" else {}))
    result = pixels(body, width=size[0], height=size[1])
    assert difference(result, np.asarray(picture)) < (2 if name == "JPEG" else 0.01)
    assert result.flags.c_contiguous
    assert result.flags.owndata


def test_a_picture_smaller_than_the_target_is_enlarged() -> None:
    assert pixels(encode(photo(19, 19), "PNG")).shape == (35, 35, 3)


def test_a_photo_narrower_than_the_target_still_averages_its_long_side() -> None:
    stripes = np.zeros((20, 1000, 3), np.uint8)
    stripes[:, ::2] = 255
    result = pixels(encode(Image.fromarray(stripes), "PNG"))
    assert abs(result.astype(int) - 127).max() <= 10


@pytest.mark.parametrize(
    ("body", "tolerance"),
    [
        (CAMERA, 1.5),
        (encode(PHOTO, "JPEG", quality=92, progressive=True), 1.5),
        (encode(PHOTO, "JPEG", quality=92, subsampling=0, optimize=True), 1.5),
        (encode(PHOTO.convert("CMYK"), "JPEG", quality=95), 2.5),
        (encode(PHOTO, "JPEG", quality=92, icc_profile=BROKEN_PROFILE), 1.5),
        (encode(PHOTO, "JPEG", quality=92, restart_marker_rows=1), 1.5),
        (CAMERA + b"trailing bytes of some editor", 1.5),
        (encode(PHOTO, "PNG", icc_profile=BROKEN_PROFILE), 0),
        (PLAIN + b"trailing bytes", 0),
        (encode(PHOTO.convert("RGBA"), "PNG"), 0.5),
        (encode(PHOTO, "PNG", save_all=True, append_images=[Image.new("RGB", (300, 220))]), 0),
        (encode(PHOTO, "WEBP", quality=95), 2.5),
        (encode(PHOTO, "WEBP", lossless=True), 0.5),
        (encode(PHOTO.convert("RGBA"), "WEBP", lossless=True), 0.5),
    ],
    ids=[
        "jpeg", "progressive", "4:4:4", "cmyk", "icc", "restarts", "trailer", "png icc",
        "png trailer", "rgba", "apng", "webp", "webp lossless", "webp alpha",
    ],
)  # fmt: skip
def test_every_kind_of_file_gives_the_pixels_of_its_plain_twin(
    body: bytes, tolerance: float
) -> None:
    assert difference(pixels(body), pixels(PLAIN)) <= tolerance


@pytest.mark.parametrize(("mode", "name"), [("L", "PNG"), ("L", "JPEG"), ("1", "PNG")])
def test_grey_is_grey_in_all_three_channels(mode: str, name: str) -> None:
    grey = PHOTO.convert(mode)
    result = pixels(encode(grey, name, **({"quality": 95} if name == "JPEG" else {})))
    assert (result[:, :, 0] == result[:, :, 1]).all()
    assert (result[:, :, 1] == result[:, :, 2]).all()
    assert difference(result, area(grey)) < 2


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_are_the_same_as_eight(channels: int) -> None:
    planes = np.asarray(PHOTO.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]))
    planes = planes.reshape(220, 300, channels).astype(np.uint16) * 257
    lines = planes.astype(">u2").reshape(220, -1).view(np.uint8)
    rows = np.hstack([np.zeros((220, 1), np.uint8), lines])  # each line with its filter, none
    body = png(300, 220, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows.tobytes())
    twin = PHOTO.convert("L") if channels < 3 else PHOTO
    assert difference(pixels(body), pixels(encode(twin, "PNG"))) <= 1


@pytest.mark.parametrize("name", ["PNG", "WEBP"])
@pytest.mark.parametrize("opaque", [16, 64, 255])
def test_transparency_lies_over_white(name: str, opaque: int) -> None:
    clear = PHOTO.convert("RGBA")
    alpha = np.tile(np.linspace(0, opaque, 300).astype(np.uint8), (220, 1))
    clear.putalpha(Image.fromarray(alpha))
    white = Image.new("RGBA", clear.size, "white")
    white.alpha_composite(clear)
    body = encode(clear, name, **({"lossless": True, "exact": True} if name == "WEBP" else {}))
    assert difference(pixels(body), pixels(encode(white.convert("RGB"), "PNG"))) <= 1


def test_a_palette_is_looked_up() -> None:
    picture = PHOTO.quantize(64)
    assert difference(pixels(encode(picture, "PNG")), area(picture)) < 0.5


@pytest.mark.parametrize("transparency", [bytes(range(64)), 3])
def test_a_transparent_palette_lies_over_white(transparency: object) -> None:
    body = encode(PHOTO.quantize(64), "PNG", transparency=transparency)
    clear = Image.open(io.BytesIO(body)).convert("RGBA")
    white = Image.new("RGBA", clear.size, "white")
    white.alpha_composite(clear)
    assert difference(pixels(body), area(white)) <= 1.5


def test_a_transparent_colour_lies_over_white() -> None:
    half = np.asarray(PHOTO).copy()
    half[:, :150] = (1, 2, 3)
    result = pixels(encode(Image.fromarray(half), "PNG", transparency=(1, 2, 3)))
    assert (result[:, :17] == 255).all()


TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(60, 44), (300, 220), (900, 150), (640, 600)])
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_a_turned_photo_gives_the_pixels_of_its_upright_twin(
    name: str, size: tuple[int, int], orientation: int
) -> None:
    upright = photo(*size)
    # What a camera stores is the scene turned the other way: 6 says "turn me 90 degrees
    # clockwise", so it lies turned 90 degrees anticlockwise, which Pillow calls ROTATE_90.
    stored = upright.transpose(TURNED[orientation]) if orientation > 1 else upright
    body = encode(stored, name, quality=95, exif=exif(orientation))
    twin = encode(upright, name, quality=95)
    for width, height in ((35, 35), (50, 20)):
        got = pixels(body, width=width, height=height)
        assert difference(got, pixels(twin, width=width, height=height)) < 2.5


# What is refused


@pytest.mark.parametrize(
    ("size", "error"), [((1, 1), TooSmall), ((18, 18), TooSmall), ((333, 1), TooSmall)]
)
def test_fewer_elements_than_the_papers_limit_are_too_small(
    size: tuple[int, int], error: type[DecodeError]
) -> None:
    with pytest.raises(error):
        pixels(encode(photo(*size), "PNG"))
    assert pixels(encode(photo(334, 1), "PNG")).shape == (35, 35, 3)


def claim_jpeg(width: int, height: int) -> bytes:
    at = CAMERA.index(b"\xff\xc0")
    return CAMERA[: at + 5] + struct.pack(">HH", height, width) + CAMERA[at + 9 :]


@pytest.mark.parametrize(
    "body",
    [
        claim_jpeg(60_000, 60_000),
        png(60_000, 60_000, 8, 2, b""),
        png(2**31 - 1, 2**31 - 1, 16, 6, b""),
        b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f",
    ],
)
def test_a_claim_of_too_many_pixels_is_refused_before_decoding(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooManyPixels):
            pixels(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_the_limit_of_pixels_is_the_callers() -> None:
    assert pixels(PLAIN, most=66_000).any()
    with pytest.raises(TooManyPixels, match="300x220"):
        pixels(PLAIN, most=65_999)


def test_a_pixel_of_sixteen_bits_counts_as_two() -> None:
    deep = png(100, 100, 16, 2, b"".join(b"\0" + bytes(range(200)) * 3 for _ in range(100)))
    assert pixels(deep, most=20_000).any()
    with pytest.raises(TooManyPixels, match="100x100, 16 bits"):
        pixels(deep, most=19_999)


def test_a_large_transparent_picture_takes_little_memory_beside_its_own() -> None:
    side = 2000
    clear = np.arange(side * side, dtype=np.uint32).view(np.uint8).reshape(side, side, 4)
    rows = np.hstack([np.zeros((side, 1), np.uint8), clear.reshape(side, -1)])
    body = png(side, side, 8, 6, rows.tobytes())
    header = sniff(body)
    tracemalloc.start()
    try:
        decode(body, header, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * side * side * (4 + 3)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("colour", ["white", "black", (128, 128, 128), (200, 30, 90)])
@pytest.mark.parametrize("preprocessing", [RGB_AREA, BGR_BILINEAR])
def test_a_picture_of_one_colour_is_blank(name: str, colour: str, preprocessing: str) -> None:
    look = partial(to_pixels, width=35, height=35, max_photo_pixels=10**6, min_photo_elements=1000)
    picture = Image.new("RGB", (300, 200), colour)
    with pytest.raises(Blank):
        look(encode(picture, name), preprocessing=preprocessing)
    picture.paste((90, 90, 90), (100, 90, 140, 120))
    assert look(encode(picture, name), preprocessing=preprocessing).any()


def test_a_picture_that_is_transparent_all_over_is_blank() -> None:
    clear = PHOTO.convert("RGBA")
    clear.putalpha(0)
    with pytest.raises(Blank):
        pixels(encode(clear, "PNG"))


def test_a_white_thing_on_white_is_no_blank_picture() -> None:
    picture = Image.new("RGB", (400, 300), "white")
    picture.paste((252, 253, 252), (150, 100, 250, 200))
    for name in ("JPEG", "PNG", "WEBP"):
        assert pixels(encode(picture, name)).shape == (35, 35, 3)


@pytest.mark.parametrize(
    "body",
    [
        claim_jpeg(7000, 7000),
        png(7000, 7000, 8, 2, bytes(1000)),
        png(300, 220, 8, 2, b"".join(b"\0" + bytes(900) for _ in range(110))),
    ],
    ids=["jpeg", "png", "half a png"],
)
def test_a_small_file_that_claims_a_big_picture_is_undecodable(body: bytes) -> None:
    with pytest.raises(Undecodable):
        pixels(body)


@pytest.mark.parametrize("name", ["JPEG", "progressive", "PNG", "WEBP", "lossless", "alpha"])
def test_a_photo_cut_short_is_undecodable_wherever_it_is_cut(name: str) -> None:
    body = {
        "JPEG": lambda: encode(PHOTO, "JPEG", exif=exif(6)),
        "progressive": lambda: encode(PHOTO, "JPEG", progressive=True),
        "PNG": lambda: PLAIN,
        "WEBP": lambda: encode(PHOTO, "WEBP"),
        "lossless": lambda: encode(PHOTO, "WEBP", lossless=True),
        "alpha": lambda: encode(PHOTO.convert("RGBA"), "PNG"),
    }[name]()
    cuts = {len(body) * part // 40 for part in range(1, 40)} | {len(body) - 1, len(body) - 2}
    for cut in sorted(cuts):
        with pytest.raises(Undecodable):
            pixels(body[:cut])


def test_a_jpeg_with_a_whole_thumbnail_and_half_a_photo_is_undecodable() -> None:
    inner = encode(photo(60, 40), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(inner)) + inner
    body = CAMERA[:2] + segment + CAMERA[2:]
    assert difference(pixels(body), pixels(CAMERA)) == 0
    with pytest.raises(Undecodable):
        pixels(body[: len(body) // 2])


def test_one_wrong_bit_anywhere_in_a_png_is_undecodable_or_a_refusal() -> None:
    random = np.random.default_rng(3)
    for at in [*range(8, 60), *random.integers(60, len(PLAIN), 60)]:
        damaged = bytearray(PLAIN)
        damaged[at] ^= 1 << int(random.integers(8))
        with pytest.raises(DecodeError):
            pixels(bytes(damaged))


@pytest.mark.parametrize("body", [b"", b"<html>", b"GIF89a" + bytes(20)])
def test_what_the_sniffer_refuses_is_refused(body: bytes) -> None:
    with pytest.raises((NotAnImage, UnsupportedFormat)):
        pixels(body)


SMALL = [
    encode(photo(80, 60), "JPEG", exif=exif(6)),
    encode(photo(80, 60), "JPEG", progressive=True),
    encode(photo(80, 60).convert("RGBA"), "PNG"),
    encode(photo(80, 60).quantize(16), "PNG", transparency=1),
    encode(photo(80, 60), "WEBP"),
    encode(photo(80, 60).convert("RGBA"), "WEBP", lossless=True, exif=exif(5)),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SMALL),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(1, 255)), min_size=1, max_size=8),
    st.booleans(),
)
def test_no_damage_raises_anything_but_a_decode_error(
    body: bytes, flips: list[tuple[int, int]], repair: bool
) -> None:
    damaged = bytearray(body)
    for at, bits in flips:
        damaged[at % len(damaged)] ^= bits
    data = with_right_checksums(bytes(damaged)) if repair else bytes(damaged)
    with suppress(DecodeError):
        assert pixels(data, most=1_000_000).shape == (35, 35, 3)


def with_right_checksums(body: bytes) -> bytes:
    """A damaged PNG made to look undamaged, so that its damage gets as far as the decoder."""
    if not body.startswith(b"\x89PNG\r\n\x1a\n"):
        return body
    whole, at = body[:8], 8
    while at + 12 <= len(body):
        end = at + 8 + int.from_bytes(body[at : at + 4])
        whole += chunk(body[at + 4 : at + 8], body[at + 8 : end])
        at = end + 4
    return whole


# OpenCV


def test_opencv_has_its_own_limit_of_pixels_behind_ours() -> None:
    assert int(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"]) <= 1 << 28


def test_opencv_uses_one_thread_once_configured() -> None:
    configure()
    assert cv2.getNumThreads() == 1
