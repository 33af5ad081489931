"""Hiding what a score depends on lowers it, and hiding anything else does not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from review.occlusion import GRID, occlude


@pytest.mark.parametrize("side", [16, 48, 61])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 6), (7, 7)])
def test_the_place_that_counts_is_found(side: int, row: int, column: int) -> None:
    def span(index: int) -> slice:
        return slice(round(index * side / GRID), round((index + 1) * side / GRID))

    def brightness(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A network that looks at one cell only; its second tag looks at nothing."""
        seen = pixels[:, span(row), span(column)].mean(axis=(1, 2, 3)) / 255
        return np.stack([seen, np.full(len(pixels), 0.5)], axis=1).astype(np.float32)

    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[span(row), span(column)] = 255
    found = occlude(pixels, brightness, 0)
    assert found.score == 1
    assert found.lowest < 0.2
    assert np.unravel_index(found.heat.argmax(), found.heat.shape) == (row, column)
    assert found.heat.max() == 1
    far = np.abs(np.indices((GRID, GRID)) - np.array([row, column])[:, None, None]).max(axis=0) > 1
    assert not found.heat[far].any()
    unmoved = occlude(pixels, brightness, 1)
    assert not unmoved.heat.any()
    assert unmoved.lowest == unmoved.score == 0.5
    assert pixels.max() == 255  # not touched
