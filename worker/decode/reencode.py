"""A large photo made into a small JPEG, for data sets that keep photos."""

from typing import Final

import cv2

from worker.decode.pixels import to_pixels
from worker.decode.sniff import Header

QUALITY: Final = 95


def upright_size(header: Header) -> tuple[int, int]:
    """(width, height) of the picture as people see it."""
    if header.orientation >= 5:
        return header.height, header.width
    return header.width, header.height


def shrink_to_jpeg(body: bytes, header: Header, *, side: int, max_photo_pixels: int) -> bytes:
    """The photo with `side` pixels on its longer side, upright, over white, without its metadata.

    Shrunk by averaging areas, JPEG of quality 95.

    Args:
        body: a JPEG, PNG or WebP that is larger than `side`.
        header: what `sniff` says of it.
        side: pixels of the longer side.
        max_photo_pixels: see `to_pixels`.

    Raises:
        TooManyPixels, Undecodable: see `to_pixels`.
    """
    width, height = upright_size(header)
    scale = side / max(width, height)
    pixels = to_pixels(
        body,
        width=max(1, round(width * scale)),
        height=max(1, round(height * scale)),
        max_photo_pixels=max_photo_pixels,
        min_photo_elements=0,
    )
    _, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return encoded.tobytes()
