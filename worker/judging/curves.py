"""What scores mean as probabilities, and what one common threshold would give."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.domain.scores import exact_match_ratio, hamming_score
from shared.domain.thresholds import GRID

BINS = 10


def calibration(scores: NDArray[np.float32], truth: NDArray[np.bool_]) -> dict[str, Any]:
    """The reliability curve over all pairs of photo and tag, and how far it is off.

    `expected_calibration_error` is the mean distance between score and share of right ones over
    the pairs, in 10 bins of equal width (Naeini et al. 2015; Guo et al. 2017, section 2). Most
    pairs are plain misses near 0, so look at the bins too; empty bins are absent.

    Args:
        scores: float32 `[n, tags]` in 0..1, no NaN.
        truth: bool `[n, tags]`.
    """
    flat, carried = scores.ravel().astype(np.float64), truth.ravel()
    bins = np.minimum((flat * BINS).astype(np.intp), BINS - 1)
    pairs = np.bincount(bins, minlength=BINS)
    totals = np.bincount(bins, weights=flat, minlength=BINS)
    hits = np.bincount(bins, weights=carried, minlength=BINS)
    rows = [
        {
            "from": bin_ / BINS,
            "to": (bin_ + 1) / BINS,
            "pairs": int(pairs[bin_]),
            "mean_score": round(float(totals[bin_] / pairs[bin_]), 6),
            "share_true": round(float(hits[bin_] / pairs[bin_]), 6),
        }
        for bin_ in np.flatnonzero(pairs).tolist()
    ]
    error = float(np.abs(totals - hits).sum() / pairs.sum())
    return {"expected_calibration_error": round(error, 6), "bins": rows}


def threshold_curve(
    scores: NDArray[np.float32], truth: NDArray[np.bool_]
) -> list[dict[str, float]]:
    """Hamming score and exact match ratio if one threshold held for all tags, over the grid."""
    rows: list[dict[str, float]] = []
    for value in GRID:
        threshold = round(float(value), 3)
        predicted = scores >= np.float32(threshold)
        rows.append(
            {
                "threshold": threshold,
                "hamming": round(hamming_score(predicted, truth), 6),
                "exact_match": round(exact_match_ratio(predicted, truth), 6),
            }
        )
    return rows
