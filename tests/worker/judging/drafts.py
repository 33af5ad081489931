"""Scores and truth for tests: some by hand, some drawn."""

import numpy as np
from numpy.typing import NDArray

from worker.judging.measures import Judged

TAGS = ("cables", "hubs", "mice")
TRUTH = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]], bool)
SCORES = np.array([[0.9, 0.1, 0], [0.8, 0.3, 0], [0.7, 0.2, 0], [0.1, 0.6, 0]], np.float32)


def judged(
    scores: NDArray[np.float32], truth: NDArray[np.bool_], products: NDArray[np.intp] | None = None
) -> Judged:
    """Scores judged at 0.5; without `products`, each photo has its own."""
    numbers = np.arange(len(truth)) if products is None else products
    return Judged(scores, scores >= np.float32(0.5), truth, numbers)


def drawn(
    seed: int, photos: int, tags: int, products: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.intp]]:
    """Scores with many equal ones, the truth they tell something of, and products."""
    random = np.random.default_rng(seed)
    truth = random.random((photos, tags)) < random.uniform(0.1, 0.6, tags)
    scores = np.round(0.4 * truth + 0.6 * random.random((photos, tags)), 1).astype(np.float32)
    return scores, truth, random.integers(products or photos, size=photos)
