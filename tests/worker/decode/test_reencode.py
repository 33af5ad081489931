"""A large photo becomes a small JPEG that looks the same, the right way up."""

import io

import numpy as np
import pytest
from PIL import Image

from shared.errors import TooManyPixels, Undecodable
from worker.decode.reencode import shrink_to_jpeg, upright_size
from worker.decode.sniff import sniff

MILLION = 10**6


def _picture() -> Image.Image:
    """400 x 200, red on the left, blue on the right."""
    picture = Image.new("RGB", (400, 200), "red")
    picture.paste("blue", (200, 0, 400, 200))
    return picture


def _encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format_, **options)
    return stream.getvalue()


def _shrunk(body: bytes, side: int = 100) -> Image.Image:
    small = shrink_to_jpeg(body, sniff(body), side=side, max_photo_pixels=MILLION)
    picture = Image.open(io.BytesIO(small))
    assert picture.format == "JPEG"
    return picture


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_the_longer_side_is_as_asked_and_the_ratio_is_kept(format_: str) -> None:
    small = _shrunk(_encoded(_picture(), format_))
    assert small.size == (100, 50)
    pixels = np.asarray(small, np.int16)
    assert np.abs(pixels[:, :45] - (255, 0, 0)).max() < 12
    assert np.abs(pixels[:, 55:] - (0, 0, 255)).max() < 12


def test_a_photo_on_its_side_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    body = _encoded(_picture(), "JPEG", exif=exif)
    assert upright_size(sniff(body)) == (200, 400)
    small = _shrunk(body)
    assert small.size == (50, 100)
    assert small.getpixel((25, 10))[0] > 200  # pyright: ignore[reportOptionalSubscript, reportIndexIssue]
    assert not small.getexif()


def test_a_very_long_photo_keeps_a_pixel_of_its_shorter_side() -> None:
    assert _shrunk(_encoded(_picture().resize((4000, 10)), "PNG")).size == (100, 1)


def test_what_cannot_be_decoded_is_refused_as_in_service() -> None:
    body = _encoded(_picture(), "JPEG")
    with pytest.raises(TooManyPixels):
        shrink_to_jpeg(body, sniff(body), side=100, max_photo_pixels=1000)
    with pytest.raises(Undecodable):
        shrink_to_jpeg(body[:-200], sniff(body), side=100, max_photo_pixels=MILLION)
