"""How good an answer is, whatever the order of hits with equal ranks (pure)."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from worker.judging.bootstrap import LEVEL

TOP: Final = 10  #: hits that a buyer looks at first
FAR: Final = 50  #: hits that a patient buyer looks at


@dataclass(frozen=True, slots=True)
class Quality:
    """What one answer is worth, each in 0..1."""

    ndcg: float  #: of the first `TOP` hits
    precision: float  #: of the first `TOP` places; an empty place is wrong
    recall: float  #: of the relevant, as many as `FAR` places can show, within these
    found: float  #: share of the relevant that are among all hits


#: The names of `Quality`'s figures, in their order.
MEASURES: Final[tuple[str, ...]] = ("ndcg", "precision", "recall", "found")


def quality(ranks: NDArray[np.float64], right: NDArray[np.bool_], relevant: int) -> Quality:
    """Expected values over all orders of hits with equal ranks, so that ties favour nobody.

    After McSherry and Najork, *Computing information retrieval performance measures efficiently in
    the presence of tied scores* (ECIR 2008): each of some tied hits is at each of their places
    equally often, so each place counts the share of them that is right. nDCG is by Järvelin and
    Kekäläinen (2002) with binary gains; recall is capped by the number of places, as BEIR's.

    Args:
        ranks: `[n]`, of all hits; higher is better.
        right: `[n]`, whether a hit is relevant.
        relevant: how many there are to be found, at least 1.

    Raises:
        ValueError: shapes differ, or more is right than there is.
    """
    if ranks.shape != right.shape or ranks.ndim != 1 or right.sum() > relevant or relevant < 1:
        raise ValueError(f"{ranks.shape} ranks, {right.shape} right, {relevant} relevant")
    chances = _chances(ranks, right)
    top, far = chances[:TOP], chances[:FAR]
    discounts = 1 / np.log2(np.arange(TOP) + 2)
    return Quality(
        ndcg=float(top @ discounts[: len(top)] / discounts[: min(TOP, relevant)].sum()),
        precision=float(top.sum() / TOP),
        recall=float(far.sum() / min(FAR, relevant)),
        found=float(right.sum() / relevant),
    )


def interval(values: NDArray[np.float64], *, resamples: int, seed: int) -> tuple[float, float]:
    """Bounds of the 95 % percentile interval of the mean, by drawing the values again.

    Args:
        values: `[n]`, one a query, n > 0.
        resamples: how often.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    means = values[random.integers(len(values), size=(resamples, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _chances(ranks: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64 `[n]`: how likely the hit at each place is right, the best place first."""
    _, levels, sizes = np.unique(-ranks, return_inverse=True, return_counts=True)
    return np.repeat(np.bincount(levels, weights=right, minlength=len(sizes)) / sizes, sizes)
