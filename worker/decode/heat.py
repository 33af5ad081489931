"""A photo with the places lit up that mattered, for people."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.decode.pixels import to_pixels
from worker.decode.reencode import upright_size
from worker.decode.sniff import Header

#: What is left of the brightness of a place that did not matter.
_DIM: Final = 0.4
_QUALITY: Final = 88


def lit_up(
    body: bytes, header: Header, heat: NDArray[np.float32], *, side: int, max_photo_pixels: int
) -> bytes:
    """A JPEG of the photo: in full colour where the heat is 1, dark and grey where it is 0.

    Args:
        body: a JPEG, PNG or WebP.
        header: what `sniff` says of it.
        heat: float32 `[rows, columns]` in 0..1, spread over the whole photo.
        side: pixels of the longer side, at most.
        max_photo_pixels: see `to_pixels`.

    Raises:
        DecodeError: see `to_pixels`.
    """
    width, height = upright_size(header)
    scale = min(1.0, side / max(width, height))
    photo = to_pixels(
        body,
        width=max(1, round(width * scale)),
        height=max(1, round(height * scale)),
        max_photo_pixels=max_photo_pixels,
        min_photo_elements=0,
        header=header,
    )
    rows, columns = photo.shape[:2]
    spread = cv2.resize(heat, (columns, rows), interpolation=cv2.INTER_CUBIC)
    light = np.sqrt(np.clip(spread, 0, 1))[:, :, None]
    grey = cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    mixed = photo * light + grey * (_DIM * (1 - light))
    _, encoded = cv2.imencode(
        ".jpg",
        cv2.cvtColor(mixed.astype(np.uint8), cv2.COLOR_RGB2BGR),
        [cv2.IMWRITE_JPEG_QUALITY, _QUALITY],
    )
    return encoded.tobytes()
