"""The perceptual hash of a photo: near-duplicates differ in few of its 64 bits."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.decode.pixels import Pixels

#: Names the definition; a change that moves bits needs a new one.
PHASH: Final = "dct-64-v1"
#: The side of the pixels that are hashed.
SIDE: Final = 32

#: Below this contrast, in grey levels, the bits are the noise of a blank picture.
_MIN_CONTRAST: Final = 3.0
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def phash(pixels: Pixels) -> int | None:
    """64 bits: which low frequencies of the picture are above their median.

    Robust to size, quality and brightness, not to cropping or turning. The lowest row and
    column of frequencies stay out: they tell how bright which half is, which light decides.

    Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010,
    section 3.2.1.

    Args:
        pixels: uint8 `[32, 32, 3]` RGB, as `to_pixels` makes them.

    Returns:
        The hash, or None for a picture that is all but blank: its bits would mean nothing.
    """
    grey: NDArray[np.float32] = np.dot(pixels.astype(np.float32), _LUMA)
    frequencies = cv2.dct(grey)[1:9, 1:9].ravel()
    # The transform is orthonormal: so much standard deviation do these frequencies bring.
    if np.linalg.norm(frequencies) / SIDE < _MIN_CONTRAST:
        return None
    bits = frequencies > np.median(frequencies)
    return int.from_bytes(np.packbits(bits).tobytes())
