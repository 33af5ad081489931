"""How far predicted tags agree with the truth, and one opinion out of many photos."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def hamming_score(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Mean over photos of |predicted and truth| / |predicted or truth|.

    The paper's measure (Jaccard over tag sets, not the Hamming loss). A photo without tags that
    is predicted to have none scores 1, as in the authors' notebooks.

    Args:
        predicted: bool `[n, tags]`, n > 0.
        truth: bool `[n, tags]`.

    Raises:
        ValueError: shapes differ or there is no photo.
    """
    return float(photo_hamming_scores(predicted, truth).mean())


def photo_hamming_scores(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """float64 `[n]`: the Hamming score of each photo, whose mean is `hamming_score`.

    Args:
        predicted: bool `[n, tags]`, n > 0.
        truth: bool `[n, tags]`.

    Raises:
        ValueError: shapes differ or there is no photo.
    """
    _check(predicted, truth)
    union = (predicted | truth).sum(axis=1)
    both = (predicted & truth).sum(axis=1)
    return np.where(union == 0, 1.0, both / np.maximum(union, 1))


def exact_match_ratio(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Share of photos whose whole tag set is right (the paper's MR).

    Args:
        predicted: bool `[n, tags]`, n > 0.
        truth: bool `[n, tags]`.

    Raises:
        ValueError: shapes differ or there is no photo.
    """
    _check(predicted, truth)
    return float((predicted == truth).all(axis=1).mean())


def fuse(photo_scores: NDArray[np.float32], photos: Sequence[int]) -> NDArray[np.float32]:
    """Listings' scores: the mean over their photos, so that one odd photo brings in no tag.

    Args:
        photo_scores: float32 `[n, tags]`, the photos of one listing after those of another; NaN
            where a photo was scored by a model that does not know the tag, which then does not
            count.
        photos: how many photos each listing has, at least 1; n in all.

    Returns:
        float32 `[listings, tags]`; 0 for a tag that no photo of the listing was scored for.

    Raises:
        ValueError: the numbers of photos do not fit.
    """
    counts = np.asarray(photos, np.intp)
    if photo_scores.ndim != 2 or counts.sum() != len(photo_scores) or counts.min(initial=1) < 1:
        raise ValueError(f"{photo_scores.shape} scores for listings of {list(photos)} photos")
    if not len(counts):
        return photo_scores
    starts = np.cumsum(counts) - counts
    known = ~np.isnan(photo_scores)
    scores = np.where(known, photo_scores, 0)
    total = np.add.reduceat(scores, starts, axis=0, dtype=np.float64)
    return (total / np.maximum(np.add.reduceat(known, starts, axis=0, dtype=np.intp), 1)).astype(
        np.float32
    )


def _check(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> None:
    if predicted.shape != truth.shape or predicted.ndim != 2 or len(truth) == 0:
        raise ValueError(f"cannot compare {predicted.shape} with {truth.shape}")
