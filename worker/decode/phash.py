"""The perceptual hash of a photo: near-duplicates differ in few of its 64 bits."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from worker.decode.pixels import Pixels

#: Names the definition; a change that moves bits needs a new one.
PHASH: Final = "dct-64-v1"
#: The side of the pixels that are hashed where nothing else wants them.
SIDE: Final = 32

#: Below this contrast, in grey levels, the bits are the noise of a blank picture.
_MIN_CONTRAST: Final = 3.0
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
#: The lowest row and column of frequencies stay out: they tell how bright which half is, which
#: light decides.
_LOWEST, _HIGHEST = 1, 8


def phashes(pixels: Pixels) -> list[int | None]:
    """64 bits a picture: which of its low frequencies are above their median.

    Robust to size, quality and brightness, not to cropping or turning.

    Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010,
    section 3.2.1.

    Args:
        pixels: uint8 `[n, height, width, 3]`, as `to_pixels` makes them; 32 x 32 or more.

    Returns:
        The hashes; None for a picture that is all but blank: its bits would mean nothing.
    """
    grey: NDArray[np.float32] = np.dot(pixels.astype(np.float32), _LUMA)
    down, across = _cosines(grey.shape[1]), _cosines(grey.shape[2])
    frequencies = (down @ (grey @ across.T)).reshape(len(grey), _HIGHEST**2)
    # The transform is orthonormal: so much standard deviation do these frequencies bring.
    contrast = np.linalg.norm(frequencies, axis=1) / np.sqrt(grey.shape[1] * grey.shape[2])
    bits = frequencies > np.median(frequencies, axis=1, keepdims=True)
    packed = np.packbits(bits, axis=1)
    return [
        int.from_bytes(its.tobytes()) if enough else None
        for its, enough in zip(packed, contrast >= _MIN_CONTRAST, strict=True)
    ]


def phash(pixels: Pixels) -> int | None:
    """`phashes` of one picture, uint8 `[height, width, 3]`."""
    return phashes(pixels[None])[0]


@cache
def _cosines(side: int) -> NDArray[np.float32]:
    """float32 `[8, side]`: the low rows of the orthonormal discrete cosine transform."""
    frequency = np.arange(_LOWEST, _HIGHEST + 1)[:, None]
    place = np.arange(side) + 0.5
    return (np.cos(np.pi / side * frequency * place) * np.sqrt(2 / side)).astype(np.float32)
