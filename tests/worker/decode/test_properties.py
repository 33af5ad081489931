"""What holds for every picture and every way of damaging it."""

import io
from typing import Any

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from shared.errors import DecodeError, NotAnImage, UnsupportedFormat
from worker.decode.pixels import to_pixels
from worker.decode.sniff import sniff

Pixels = NDArray[np.uint8]

_MODES = {"JPEG": ["RGB", "L", "CMYK"], "PNG": ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"]}
_MODES["WEBP"] = ["RGB", "RGBA"]


def photo(width: int, height: int, seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encode(picture: Image.Image, name: str, mode: str, **options: Any) -> bytes:
    file = io.BytesIO()
    if mode == "I;16":
        deep = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        Image.fromarray(deep).save(file, name)
    else:
        picture.convert(mode).save(file, name, **options)
    return file.getvalue()


@st.composite
def pictures(draw: st.DrawFn) -> bytes:
    """Any picture that a worker accepts, as encoders write it."""
    name = draw(st.sampled_from(sorted(_MODES)))
    mode = draw(st.sampled_from(_MODES[name]))
    side = st.integers(20, 160)
    picture = photo(draw(side), draw(side), draw(st.integers(0, 9)))
    exif = Image.Exif()
    exif[0x0112] = draw(st.integers(1, 8))
    options: dict[str, Any] = {"exif": exif} if draw(st.booleans()) else {}
    if name == "JPEG":
        options |= {
            "quality": draw(st.integers(20, 97)),
            "progressive": draw(st.booleans()),
            "restart_marker_rows": draw(st.integers(0, 2)),
        }
    if name == "WEBP":
        options["lossless"] = draw(st.booleans())
    return encode(picture, name, mode, **options)


def outcome(body: bytes, side: int = 30) -> Pixels | type[DecodeError]:
    """The pixels, or the error that refuses them."""
    try:
        return to_pixels(
            body, width=side, height=side, max_photo_pixels=10**6, min_photo_elements=1000
        )
    except DecodeError as error:
        return type(error)


def same(one: Pixels | type[DecodeError], other: Pixels | type[DecodeError]) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return one is other


#: Pictures of loud colours, to be decoded before another one.
EARLIER = [
    encode(Image.merge("RGB", photo(160, 160, seed).split()[::-1]), name, "RGB")
    for seed, name in enumerate(_MODES, 100)
]


@given(pictures())
def test_the_size_is_the_one_that_opencv_sees(body: bytes) -> None:
    header = sniff(body)
    seen = cv2.imdecode(
        np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    )
    assert seen is not None
    assert (header.height, header.width) == seen.shape[:2]


@given(pictures())
def test_a_picture_has_the_same_pixels_every_time(body: bytes) -> None:
    first = outcome(body)
    assert isinstance(first, np.ndarray)
    for earlier in EARLIER:
        outcome(earlier)
        assert same(outcome(body), first)


@settings(max_examples=200)
@given(pictures(), st.data())
def test_a_picture_cut_anywhere_is_refused_or_has_lost_nothing(
    body: bytes, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(body) - 1))
    result = outcome(body[:cut])
    if isinstance(result, np.ndarray):
        assert same(result, outcome(body))
    elif cut >= 16:
        assert not issubclass(result, NotAnImage | UnsupportedFormat)


@settings(max_examples=200)
@given(pictures(), st.data())
def test_a_damaged_picture_never_shows_an_earlier_one(body: bytes, data: st.DataObject) -> None:
    """OpenCV 4.10 filled what was missing with what its memory held (opencv#26488)."""
    damaged = bytearray(body)
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
        damaged[at] ^= data.draw(st.integers(1, 255))
    # A cut with an end put behind it passes for a whole JPEG.
    cut = bytes(damaged[: data.draw(st.integers(len(body) // 2, len(body)))]) + b"\xff\xd9"
    for victim in (bytes(damaged), cut):
        results = list[Pixels | type[DecodeError]]()
        for earlier in EARLIER:
            outcome(earlier)
            results.append(outcome(victim))
        assert all(same(result, results[0]) for result in results)


@given(
    st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\xff\0\0\0WEBP",
            b"BM",
            b"\0\0\0\x1cftyp",
        ]
    ),
    st.binary(max_size=400),
)
def test_any_bytes_give_a_header_or_a_decode_error(start: bytes, rest: bytes) -> None:
    try:
        header = sniff(start + rest)
    except DecodeError:
        return
    assert header.width > 0
    assert header.height > 0
    assert 1 <= header.orientation <= 8
