"""Intervals for the measures, by drawing products again and again."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain.scores import photo_hamming_scores
from worker.judging.measures import MIN_POSITIVES, Judged

LEVEL = 0.95
#: Weights that are in memory at once, one a photo and resample; a few copies of them are made.
_CHUNK_WEIGHTS = 4_000_000

Weights = NDArray[np.float32]


def intervals(judged: Judged, *, resamples: int, seed: int) -> dict[str, list[float] | None]:
    """[low, high] of 95 % percentile intervals, from resamples of whole products.

    Products and not photos are drawn, because the photos of one product are no independent
    evidence. The tags that count for `map` and `macro_f1` are those of the photos as they are; a
    tag that a resample has no photo of does not count in it.

    Args:
        judged: what was found and what is true.
        resamples: how many, at least 1.
        seed: of the draws.

    Returns:
        By measure; None where there is nothing to measure.
    """
    random = np.random.default_rng(seed)
    sampled = Sampled.of(judged)
    _, products = np.unique(judged.products, return_inverse=True)
    count = int(products.max()) + 1
    drawn: dict[str, list[NDArray[np.float64]]] = {}
    chunk = max(1, _CHUNK_WEIGHTS // len(products))
    for start in range(0, resamples, chunk):
        weights = np.empty((len(products), min(chunk, resamples - start)), np.float32)
        for column in range(weights.shape[1]):
            times = np.bincount(random.integers(count, size=count), minlength=count)
            weights[:, column] = times[products]
        for name, values in sampled.measures(weights).items():
            drawn.setdefault(name, []).append(values)
    return {name: _interval(np.concatenate(parts)) for name, parts in drawn.items()}


@dataclass(frozen=True, slots=True)
class Sampled:
    """What of the photos is enough to measure any resample of them."""

    hamming: NDArray[np.float64]  #: `[n]`
    exact: NDArray[np.float64]  #: `[n]`, 0 or 1
    tagged: NDArray[np.float64]  #: `[n]`, 0 or 1
    counts: NDArray[np.float64]  #: `[n, 3 * tags]`: hits, answers, positives of the tags
    rankings: tuple["_Ranking", ...]

    @classmethod
    def of(cls, judged: Judged) -> "Sampled":
        predicted, truth = judged.predicted, judged.truth
        support = truth.sum(axis=0)
        occurring = support > 0
        tagged: NDArray[np.bool_] = np.asarray(truth.any(axis=1))
        counts = [predicted & truth, predicted, truth]
        return cls(
            photo_hamming_scores(predicted, truth),
            (predicted == truth).all(axis=1).astype(np.float64),
            tagged.astype(np.float64),
            np.concatenate([part[:, occurring] for part in counts], axis=1).astype(np.float64),
            tuple(
                _Ranking.of(judged.scores[:, tag], truth[:, tag])
                for tag in np.flatnonzero(support >= MIN_POSITIVES)
            ),
        )

    def measures(self, weights: Weights) -> dict[str, NDArray[np.float64]]:
        """float64 `[resamples]` by measure, NaN where a resample has nothing to measure."""
        photos = weights.sum(axis=0, dtype=np.float64)
        tagged = self.tagged @ weights
        hits, answers, positives = np.split(self.counts.T @ weights, 3)
        f1 = _share(2 * hits, answers + positives)
        f1[positives == 0] = np.nan
        precisions = [ranking.average_precision(weights) for ranking in self.rankings]
        return {
            "hamming": self.hamming @ weights / photos,
            "hamming_nonempty": _share((self.hamming * self.tagged) @ weights, tagged),
            "exact_match": self.exact @ weights / photos,
            "exact_match_nonempty": _share((self.exact * self.tagged) @ weights, tagged),
            "map": _mean_of_known(precisions, len(photos)),
            "macro_f1": _mean_of_known(list(f1), len(photos)),
        }


@dataclass(frozen=True, slots=True)
class _Ranking:
    """One tag's photos by score, so that average precision is a matter of running sums."""

    order: NDArray[np.intp]  #: photos, highest score first
    positives: NDArray[np.intp]  #: places of the positives in that order
    ends: NDArray[np.intp]  #: for each positive, the last place that has its score

    @classmethod
    def of(cls, scores: NDArray[np.float32], carried: NDArray[np.bool_]) -> "_Ranking":
        order = np.argsort(-scores, kind="stable")
        positives = np.flatnonzero(carried[order])
        descending = -scores[order]
        ends = np.searchsorted(descending, descending[positives], side="right") - 1
        return cls(order, positives, ends)

    def average_precision(self, weights: Weights) -> NDArray[np.float64]:
        """Weighted average precision of each column of weights; equal scores are one step.

        The same as scikit-learn's with sample weights, which takes one vector of weights a call.
        """
        ranked = weights[self.order]
        answers = np.cumsum(ranked, axis=0)[self.ends]
        gained = ranked[self.positives]
        hits = np.cumsum(gained, axis=0)
        # A positive counts with all positives of its score, those ranked behind it too.
        last = np.searchsorted(self.positives, self.ends, side="right") - 1
        precision = _share(hits[last], answers)
        return _share((gained * np.nan_to_num(precision)).sum(axis=0), hits[-1])


def _share(part: NDArray[np.floating], whole: NDArray[np.floating]) -> NDArray[np.float64]:
    nothing = np.full(np.shape(whole), np.nan)
    return np.divide(part, whole, out=nothing, where=whole > 0, dtype=np.float64)


def _mean_of_known(values: list[NDArray[np.float64]], resamples: int) -> NDArray[np.float64]:
    if not values:
        return np.full(resamples, np.nan)
    table = np.stack(values)
    known = ~np.isnan(table)
    return _share(np.where(known, table, 0).sum(axis=0), known.sum(axis=0).astype(np.float64))


def _interval(values: NDArray[np.float64]) -> list[float] | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    tail = (1 - LEVEL) / 2
    return [round(float(bound), 6) for bound in np.quantile(known, [tail, 1 - tail])]
