"""Where a network looked: how much a tag's score falls when a part of the photo is hidden (pure).

Occlusion sensitivity (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks",
2014, section 4.2). It needs scores alone, which is all that a serving model gives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Places looked at, across and down.
GRID: Final = 8
#: What is hidden at each place, as a share of the photo's sides: a little more than its cell, so
#: that nothing small falls between two.
_HIDDEN: Final = 0.25

Scores = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Occlusion:
    """What hiding did to one tag's score.

    Attributes:
        score: of the whole photo.
        hidden: float32 `[GRID, GRID]`, the score with that place hidden.
    """

    score: float
    hidden: NDArray[np.float32]

    @property
    def lowest(self) -> float:
        """The score with the place hidden that matters most."""
        return float(self.hidden.min())

    @property
    def heat(self) -> NDArray[np.float32]:
        """float32 `[GRID, GRID]`: 1 for the place that matters most, 0 for those that do not."""
        falls = np.maximum(self.score - self.hidden, 0)
        most = falls.max()
        return falls / most if most > 0 else falls


def occlude(pixels: NDArray[np.uint8], scores: Scores, tag: int) -> Occlusion:
    """Hides one place after the other, in the photo's mean colour.

    Args:
        pixels: uint8 `[height, width, 3]`, as the model takes them.
        scores: of uint8 `[n, height, width, 3]`, float32 `[n, tags]`.
        tag: its index.
    """
    height, width = pixels.shape[:2]
    mean = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    batch = np.repeat(pixels[None], GRID * GRID + 1, axis=0)
    for place in range(GRID * GRID):
        top, bottom = _span(place // GRID, height)
        left, right = _span(place % GRID, width)
        batch[place, top:bottom, left:right] = mean
    found = scores(batch)[:, tag]
    return Occlusion(float(found[-1]), found[:-1].reshape(GRID, GRID))


def _span(index: int, side: int) -> tuple[int, int]:
    """From where to where it hides, in pixels."""
    middle, half = (index + 0.5) * side / GRID, _HIDDEN * side / 2
    return max(0, round(middle - half)), min(side, round(middle + half))
