"""From scores to tags: which score is enough, and how that is chosen."""

import numpy as np
from numpy.typing import NDArray

from shared.domain.scores import hamming_score

#: 0.05 to 0.95 in steps of 0.025, as in the authors' notebooks.
GRID = np.linspace(0.05, 0.95, 37)


def decide(scores: NDArray[np.float32], thresholds: NDArray[np.float32]) -> list[tuple[int, float]]:
    """The tags a photo or listing carries: those whose score reaches their threshold.

    Args:
        scores: float32 `[tags]` in 0..1.
        thresholds: float32 `[tags]` in 0..1.

    Returns:
        (index of the tag, score), highest score first, ties by index.

    Raises:
        ValueError: shapes differ.
    """
    if scores.shape != thresholds.shape or scores.ndim != 1:
        raise ValueError(f"{scores.shape} scores for {thresholds.shape} thresholds")
    ranked = np.argsort(-scores, kind="stable")
    return [(int(tag), float(scores[tag])) for tag in ranked if scores[tag] >= thresholds[tag]]


def fit_single(scores: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """The one threshold for all tags with the best Hamming score, the lowest among equals.

    Args:
        scores: float32 `[n, tags]` of validation photos, n > 0.
        truth: bool `[n, tags]`.

    Returns:
        A value of `GRID`.

    Raises:
        ValueError: shapes differ or there is no photo.
    """
    # Rounded, or 0.1 of the grid would be stored as 0.09999999999999999.
    grid = [round(float(value), 3) for value in GRID]
    return max(grid, key=lambda value: (hamming_score(scores >= np.float32(value), truth), -value))
