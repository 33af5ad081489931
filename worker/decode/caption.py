"""A picture with a line of words above it."""

from typing import Final

import cv2
import numpy as np

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_RED: Final = (32, 32, 176)  # as OpenCV has it: blue, green, red
_WHITE: Final = (255, 255, 255)
#: Of the picture's width, what the words take of a narrow one.
_SHARE: Final = 0.94
_MAX_SCALE: Final = 0.9
_QUALITY: Final = 92


def captioned(jpeg: bytes, words: str) -> bytes:
    """A JPEG with the words, in ASCII, in a bar of their own above the picture.

    Args:
        jpeg: one of ours, upright.
        words: few enough for one line.
    """
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None  # noqa: S101  # it is one of ours
    width = picture.shape[1]
    (wide, _), _ = cv2.getTextSize(words, _FONT, 1.0, 1)
    scale = min(_MAX_SCALE, _SHARE * width / wide)
    (wide, high), below = cv2.getTextSize(words, _FONT, scale, 1)
    bar = np.full((2 * high + below, width, 3), _RED, np.uint8)
    at = ((width - wide) // 2, high + high // 2)
    cv2.putText(bar, words, at, _FONT, scale, _WHITE, 1, cv2.LINE_AA)
    _, encoded = cv2.imencode(
        ".jpg", np.vstack([bar, picture]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    return encoded.tobytes()
