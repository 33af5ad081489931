"""How much a split lets through: photos of the test that training has as good as seen."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain.scores import exact_match_ratio, hamming_score

_BLOCK = 512


def seen_in_training(parts: Sequence[str], keys: Sequence[Hashable]) -> NDArray[np.bool_]:
    """For each test photo whether a training photo has its key.

    Args:
        parts: `[n]`, the part of each photo; those of `train` are trained on.
        keys: `[n]`, what must not be on both sides, such as the product or the file's hash; None
            is shared with nobody.

    Returns:
        bool `[photos of the part test]`, in their order.
    """
    pairs = list(zip(parts, keys, strict=True))
    trained = {key for part, key in pairs if part == "train" and key is not None}
    return np.array([key in trained for part, key in pairs if part == "test"], np.bool_)


def neighbours(
    reference: NDArray[np.float32], queries: NDArray[np.float32], k: int
) -> NDArray[np.intp]:
    """The rows of `reference` nearest to each query by Euclidean distance.

    Args:
        reference: float32 `[n, values]`, n >= k.
        queries: float32 `[m, values]`.
        k: how many.

    Returns:
        `[m, k]`, nearest first; ties by row.
    """
    lengths = (reference * reference).sum(axis=1)
    found = np.empty((len(queries), k), np.intp)
    for start in range(0, len(queries), _BLOCK):
        block = queries[start : start + _BLOCK]
        # The query's own length is the same for all of its distances, so it decides nothing.
        distances = lengths - 2 * block @ reference.T
        if k == 1:
            found[start : start + len(block), 0] = distances.argmin(axis=1)
            continue
        nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
        nearest.sort(axis=1)
        order = np.argsort(np.take_along_axis(distances, nearest, axis=1), axis=1, kind="stable")
        found[start : start + len(block)] = np.take_along_axis(nearest, order, axis=1)
    return found


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a tagger is worth on some photos."""

    photos: int
    hamming: float | None  #: None without photos, like the others
    hamming_nonempty: float | None  #: over photos that carry a tag
    exact_match: float | None
    empty: float | None  #: the Hamming score, and exact match, of always answering "no tag"


def agreement(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Agreement:
    """Measures tags against the truth, both bool `[n, tags]`."""
    tagged = truth.any(axis=1)
    return Agreement(
        photos=len(truth),
        hamming=hamming_score(predicted, truth) if len(truth) else None,
        hamming_nonempty=hamming_score(predicted[tagged], truth[tagged]) if tagged.any() else None,
        exact_match=exact_match_ratio(predicted, truth) if len(truth) else None,
        empty=float(1 - tagged.mean()) if len(truth) else None,
    )
