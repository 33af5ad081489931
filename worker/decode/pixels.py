"""A photo's bytes made into the pixels of a network, for training and for service alike.

This is the one definition of preprocessing. Whatever changes its pixels needs a new name, which
the manifest of a model carries. Only how a JPEG is decoded may change within a name, as long as
a model's decisions stay those of a full decode (tests/worker/decode/test_parity.py).
"""

import os

# OpenCV reads its limit once, while it is imported, so this cannot wait for a function.
# `max_photo_pixels` is the limit that matters; this one guards against a header that
# OpenCV should read differently from us.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.errors import Blank, TooManyPixels, TooSmall, Undecodable
from worker.decode.bare import bare
from worker.decode.excerpt import needed
from worker.decode.exif import UPRIGHT
from worker.decode.sniff import Header, sniff
from worker.decode.whole import check_whole

#: What this project trains with: RGB, shrunk by averaging areas. A JPEG is decoded at the least
#: fraction of its size that is twice the target (`reduction`), out of the scans that this takes
#: (`needed`). The fraction changes the mean pixel by 0.8 to 2 levels and 0.2 to 0.5 % of a
#: model's decisions; leaving scans out, 0.1 to 0.7 levels and 0.1 to 0.3 %.
RGB_AREA: Final = "rgb-area-v1"
#: What the paper's notebooks did: `cv2.resize` as it comes, channels as OpenCV has them.
BGR_BILINEAR: Final = "bgr-bilinear-v1"
PREPROCESSING: Final = RGB_AREA

Pixels = NDArray[np.uint8]

#: JPEG decodes straight to a fraction of its size, which saves most of the time. Down to twice
#: the target that is hardly more to a network than noise: one level in 1 % of the values changes
#: 0.1 to 0.2 % of a model's decisions. Below, it is.
_MARGIN: Final = 2
_BAND_PIXELS: Final = 1 << 18
_FLAGS: Final = {
    1: cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
    2: cv2.IMREAD_REDUCED_COLOR_2 | cv2.IMREAD_IGNORE_ORIENTATION,
    4: cv2.IMREAD_REDUCED_COLOR_4 | cv2.IMREAD_IGNORE_ORIENTATION,
    8: cv2.IMREAD_REDUCED_COLOR_8 | cv2.IMREAD_IGNORE_ORIENTATION,
}


def configure() -> None:
    """Set OpenCV up for a process of many threads; call once, at its start.

    One thread a decode: the photos are the parallelism. Damaged photos are refused by
    our own errors, so OpenCV need not write about them to stderr.
    """
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def to_pixels(
    body: bytes,
    *,
    width: int,
    height: int,
    max_photo_pixels: int,
    min_photo_elements: int,
    preprocessing: str = PREPROCESSING,
    header: Header | None = None,
) -> Pixels:
    """A JPEG, PNG or WebP as uint8, C-contiguous, of shape (height, width, 3).

    Upright by its EXIF data, over white where it is transparent; its aspect ratio is not kept.
    `preprocessing` is `RGB_AREA` or `BGR_BILINEAR`; `header` is what `sniff` says of the body,
    for a caller that has asked already.

    Raises:
        NotAnImage, UnsupportedFormat: the bytes are no picture of these formats.
        TooSmall: fewer than `min_photo_elements` of width x height x 3.
        TooManyPixels: claims more than `max_photo_pixels`, where one of 16 bits a channel counts
            as two; nothing was decoded.
        Undecodable: damaged.
        Blank: what would be returned is all of one colour.
    """
    header = header or sniff(body)
    pixels = header.width * header.height
    if pixels * 3 < min_photo_elements:
        raise TooSmall(f"{header.width}x{header.height}")
    if pixels * (2 if header.is_deep else 1) > max_photo_pixels:
        raise TooManyPixels(
            f"{header.width}x{header.height}{', 16 bits a channel' if header.is_deep else ''}"
        )
    check_whole(body, header)
    if preprocessing == BGR_BILINEAR:
        picture = decode(needed(body, header, 1), header, 1)
        target = _as_stored((width, height), header)
        resized = _as_pixels(cv2.resize(picture, target, interpolation=cv2.INTER_LINEAR))
        result = _upright(resized, header.orientation)
    elif preprocessing == RGB_AREA:
        scale = reduction(header, width=width, height=height)
        picture = decode(needed(body, header, scale), header, scale)
        result = shrink(picture, header, width=width, height=height)
    else:
        raise ValueError(f"no preprocessing is called {preprocessing!r}")
    if (result == result[0, 0]).all():
        raise Blank
    return result


def reduction(header: Header, *, width: int, height: int) -> int:
    """A photo is decoded at 1/so much of its size: 1, 2, 4 or 8."""
    if header.format == "jpeg":
        across, down = _as_stored((width, height), header)
        for scale in (8, 4, 2):
            if min(header.width // scale // across, header.height // scale // down) >= _MARGIN:
                return scale
    return 1


def decode(body: bytes, header: Header, scale: int) -> Pixels:
    """BGR, uint8, as stored, at 1/`scale` of its size.

    Raises:
        Undecodable: OpenCV does not take it, or it is not the size that its header claims.
    """
    flags = _FLAGS[scale]
    if header.has_alpha:
        flags = cv2.IMREAD_UNCHANGED  # which leaves the picture as it lies
    if header.format == "png":
        body = bare(body)
    try:
        picture = cv2.imdecode(np.frombuffer(body, np.uint8), flags)
    except cv2.error:
        raise Undecodable("OpenCV gives up on it") from None
    # imdecode answers None for what it cannot read, which its stubs do not know.
    if picture is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise Undecodable("no decoder takes it")
    if picture.shape[:2] != (-(-header.height // scale), -(-header.width // scale)):
        raise Undecodable("is not the size its header claims")
    if scale > 1:
        # A last row or column that stands for less than half of its pixels would stretch the rest.
        rows, columns = (max(1, round(side / scale)) for side in (header.height, header.width))
        picture = picture[:rows, :columns]
    return _opaque(picture)


def shrink(picture: Pixels, header: Header, *, width: int, height: int) -> Pixels:
    """What `decode` gives, as `RGB_AREA` has it: (height, width, 3), each pixel the mean of
    the area it covers.
    """
    # Turned at the end, when there is least to turn: a photo on its side is shrunk on its side.
    shrunk = _shrink(picture, _as_stored((width, height), header))
    return _as_pixels(cv2.cvtColor(_upright(shrunk, header.orientation), cv2.COLOR_BGR2RGB))


def _as_stored(size: tuple[int, int], header: Header) -> tuple[int, int]:
    """(width, height) of an upright picture, before it is turned upright."""
    width, height = size
    return (height, width) if header.orientation >= 5 else (width, height)


def _opaque(picture: NDArray[np.generic]) -> Pixels:
    """Grey, 16-bit or transparent pixels as BGR, uint8; transparency over white."""
    if picture.dtype == np.uint8 and picture.shape[2:] == (3,):
        return _as_pixels(picture)
    height, width = picture.shape[:2]
    opaque = np.empty((height, width, 3), np.uint8)
    # A few rows at a time: the steps between would take several times the picture's memory.
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        opaque[top : top + rows] = _opaque_band(picture[top : top + rows])
    return opaque


def _opaque_band(picture: NDArray[np.generic]) -> Pixels:
    if picture.dtype == np.uint16:
        picture = (picture.astype(np.uint16, copy=False) >> 8).astype(np.uint8)
    pixels = picture.astype(np.uint8, copy=False)
    if pixels.ndim == 2:
        return _as_pixels(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR))
    if pixels.shape[2] == 3:
        return pixels
    alpha = cv2.cvtColor(pixels[:, :, 3], cv2.COLOR_GRAY2BGR)
    colour = cv2.multiply(cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR), alpha, scale=1 / 255)
    return _as_pixels(cv2.add(colour, cv2.bitwise_not(alpha)))


def _shrink(picture: Pixels, target: tuple[int, int]) -> Pixels:
    """Resized to `target`, (width, height), each pixel the mean of the area it covers."""
    height, width = picture.shape[:2]
    # As soon as one side grows, INTER_AREA is bilinear on both, and skips pixels on the other.
    smaller = (min(width, target[0]), min(height, target[1]))
    if smaller != (width, height):
        picture = _as_pixels(cv2.resize(picture, smaller, interpolation=cv2.INTER_AREA))
    if smaller != target:
        picture = _as_pixels(cv2.resize(picture, target, interpolation=cv2.INTER_LINEAR))
    return picture


def _upright(picture: Pixels, orientation: int) -> Pixels:
    """Turned as EXIF's orientation asks for (EXIF 2.32, section 4.6.4)."""
    if orientation == UPRIGHT:
        return picture
    if orientation >= 5:  # first mirrored along its diagonal
        picture = picture.transpose(1, 0, 2)
    rows = -1 if orientation in {3, 4, 7, 8} else 1
    columns = -1 if orientation in {2, 3, 6, 7} else 1
    return np.ascontiguousarray(picture[::rows, ::columns])


def _as_pixels(array: NDArray[np.generic]) -> Pixels:
    return array.astype(np.uint8, copy=False)
