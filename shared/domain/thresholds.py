"""From scores to tags: which score is enough, and how that is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain import wilson
from shared.domain.scores import hamming_score

Scores = NDArray[np.float32]
Truth = NDArray[np.bool_]

#: 0.05 to 0.95 in steps of 0.025, as in the authors' notebooks.
GRID = np.linspace(0.05, 0.95, 37)
#: With fewer positives than this a tag's best cut says more about chance than about the tag.
MIN_POSITIVES = 10
#: Positives at which a tag's own cut weighs as much as the common threshold. Of 5, 10, 20 and 50,
#: 20 and 50 did best on held-out products of the project's data, no shrinking at all worst.
SHRINKAGE_POSITIVES = 20
_MAX_SWEEPS = 20
#: A gain below it is rounding, and following it could go round in circles.
_NO_GAIN = 1e-9


@dataclass(frozen=True, slots=True)
class FittedThresholds:
    """One threshold a tag, and the tags whose threshold is not what it looks like."""

    values: NDArray[np.float32]  #: `[tags]` in 0..1, above 0
    common: float  #: the one threshold for all tags that thin tags lean on, see `fit_single`
    thin: tuple[int, ...]  #: tags with too few positives to be fitted by themselves
    unreachable: tuple[int, ...]  #: tags for which no cut keeps the precision asked for; at 1.0


def decide(scores: Scores, thresholds: NDArray[np.float32]) -> list[list[tuple[int, float]]]:
    """The tags that photos or listings carry: those whose score reaches their threshold.

    Args:
        scores: float32 `[n, tags]` in 0..1; NaN reaches nothing.
        thresholds: float32 `[tags]` in 0..1.

    Returns:
        For each of the n, (index of the tag, score), highest score first, ties by index.

    Raises:
        ValueError: shapes differ.
    """
    if scores.ndim != 2 or scores.shape[1:] != thresholds.shape:
        raise ValueError(f"{scores.shape} scores for {thresholds.shape} thresholds")
    rows, tags = np.nonzero(scores >= thresholds)
    reached = scores[rows, tags]
    best_first = np.lexsort((tags, -reached, rows))
    decided: list[list[tuple[int, float]]] = [[] for _ in scores]
    in_order: list[int] = rows[best_first].tolist()
    named: list[tuple[int, float]] = [
        *zip(tags[best_first].tolist(), reached[best_first].tolist(), strict=True)
    ]
    for row, tag in zip(in_order, named, strict=True):
        decided[row].append(tag)
    return decided


def fit_single(scores: Scores, truth: Truth) -> float:
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


def fit_per_tag(
    scores: Scores,
    truth: Truth,
    *,
    precision: float | None = None,
    min_positives: int = MIN_POSITIVES,
) -> FittedThresholds:
    """Each tag's own threshold: the best F1, or as much recall as a wanted precision leaves.

    Without `precision`, the cut with the best F1, the lowest among equals; a tag with fewer than
    `min_positives` positives gets the common threshold of `fit_single`.

    With it, the lowest cut at which the lower bound of the precision (Wilson's score interval, one
    sided, 95 %) is at least that. The bound asks for many answers by itself (52 for 0.95, all
    right), so there is no fallback for thin tags, which would break the promise: a tag without
    such a cut gets 1.0, which only a score of 1 reaches, and is named. The bound holds for a cut
    chosen beforehand; over many cuts it is a little optimistic.

    Args:
        scores: float32 `[n, tags]` in 0..1 of validation photos, n > 0; NaN counts as no answer.
        truth: bool `[n, tags]`.
        precision: 0..1; left out: best F1.
        min_positives: a tag with fewer is thin, if it is fitted for F1.

    Raises:
        ValueError: shapes differ, there is no photo, or the precision is none.
    """
    if precision is not None and not 0 < precision <= 1:
        raise ValueError(f"{precision} is no precision")
    scores = _without_nan(scores)
    common = fit_single(scores, truth)
    values = np.full(truth.shape[1], common, np.float32)
    thin = _thin(truth, min_positives) if precision is None else ()
    unreachable: list[int] = []
    for tag in range(truth.shape[1]):
        cuts = _Cuts.of(scores[:, tag])
        hits = cuts.sums(truth[:, tag].astype(np.float64))
        if precision is not None:
            enough = np.flatnonzero(wilson.lower_bound(hits, cuts.answers) >= precision)
            values[tag] = cuts.thresholds[enough[-1]] if len(enough) else 1.0
            if not len(enough):
                unreachable.append(tag)
        elif tag not in thin:
            f1 = 2 * hits / np.maximum(cuts.answers + truth[:, tag].sum(), 1)
            values[tag] = cuts.thresholds[_last_best(f1)]
    return FittedThresholds(values, common, thin, tuple(unreachable))


def fit_for_hamming(
    scores: Scores, truth: Truth, *, min_positives: int = MIN_POSITIVES
) -> FittedThresholds:
    """Each tag's threshold such that together they give the best mean Hamming score.

    Coordinate ascent from the common threshold of `fit_single`: tag after tag gets the cut that is
    best while the others stay, until nothing improves. What was found is then drawn toward the
    common threshold, in log-odds, with the weight of `SHRINKAGE_POSITIVES` positives, because the
    very best cut fits its photos better than others. Should that be worse than the common
    threshold, all tags keep the common one; so the score here is never below that of
    `fit_single`.

    Args:
        scores: float32 `[n, tags]` in 0..1 of validation photos, n > 0; NaN counts as no answer.
        truth: bool `[n, tags]`.
        min_positives: a tag with fewer keeps the common threshold.

    Raises:
        ValueError: shapes differ or there is no photo.
    """
    scores = _without_nan(scores)
    common = fit_single(scores, truth)
    thin = _thin(truth, min_positives)
    start = np.full(truth.shape[1], common, np.float32)
    best = _ascend(scores, truth, start, [tag for tag in range(len(start)) if tag not in thin])
    positives = truth.sum(axis=0)
    own = positives / (positives + SHRINKAGE_POSITIVES)
    odds = own * _log_odds(best) + (1 - own) * _log_odds(start)
    shrunk = np.where(best == start, start, 1 / (1 + np.exp(-odds))).astype(np.float32)
    worse = hamming_score(scores >= shrunk, truth) < hamming_score(scores >= start, truth)
    return FittedThresholds(start if worse else shrunk, common, thin, ())


def _ascend(
    scores: Scores, truth: Truth, start: NDArray[np.float32], tags: Sequence[int]
) -> NDArray[np.float32]:
    values = start.copy()
    predicted = scores >= values
    cuts = {tag: _Cuts.of(scores[:, tag]) for tag in tags}
    for _ in range(_MAX_SWEEPS):
        before = values.copy()
        for tag in tags:
            gain = _gain_of(tag, predicted, truth)
            sums = cuts[tag].sums(gain)
            best = _last_best(sums)
            if sums[best] > gain[predicted[:, tag]].sum() + _NO_GAIN:
                values[tag] = cuts[tag].thresholds[best]
                predicted[:, tag] = scores[:, tag] >= values[tag]
        if np.array_equal(values, before):
            break
    return values


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Every way of cutting photos in two by one tag's score, from the fewest answers up."""

    order: NDArray[np.intp]  #: the photos, highest score first
    answers: NDArray[np.float64]  #: `[cuts]`, photos at or above the cut, increasing
    thresholds: NDArray[np.float32]  #: `[cuts]`, decreasing

    @classmethod
    def of(cls, scores: NDArray[np.float32]) -> "_Cuts":
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        # Equal scores cannot be parted, and a threshold above 0 cannot let a score of 0 pass. At 1
        # lies the cut above all scores that are lower.
        levels = np.unique(np.append(ranked[ranked > 0], np.float32(1)))[::-1]
        below = np.append(levels[1:], np.float32(0))
        # Half way between two scores, where the next photo's score may fall on either side.
        thresholds = ((levels.astype(np.float64) + below) / 2).astype(np.float32)
        thresholds = np.where(thresholds > below, thresholds, levels)
        answers = np.searchsorted(-ranked, -levels, side="right").astype(np.float64)
        return cls(order, answers, thresholds)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 `[cuts]`: the sum of a value of each photo over the photos at or above a cut."""
        total = np.concatenate([[0.0], np.cumsum(values[self.order])])
        return total[self.answers.astype(np.intp)]


def _gain_of(tag: int, predicted: Truth, truth: Truth) -> NDArray[np.float64]:
    """What answering with the tag adds to each photo's Hamming score, the others left alone."""
    without = np.delete(predicted, tag, axis=1), np.delete(truth, tag, axis=1)
    both = (without[0] & without[1]).sum(axis=1)
    union = (without[0] | without[1]).sum(axis=1)
    carried = truth[:, tag].astype(np.int64)
    silent = np.where(union + carried == 0, 1.0, both / np.maximum(union + carried, 1))
    return (both + carried) / (union + 1) - silent


def _last_best(values: NDArray[np.float64]) -> int:
    # Cuts go downwards, so the last of the best is the lowest threshold among equals.
    return int(np.flatnonzero(values >= values.max() - _NO_GAIN)[-1])


def _log_odds(values: NDArray[np.float32]) -> NDArray[np.float64]:
    # A threshold of 1 has none; this is as far as float32 can tell a score from 1.
    inside = np.clip(values.astype(np.float64), 2**-24, 1 - 2**-24)
    return np.log(inside / (1 - inside))


def _thin(truth: Truth, min_positives: int) -> tuple[int, ...]:
    return tuple(int(tag) for tag in np.flatnonzero(truth.sum(axis=0) < min_positives))


def _without_nan(scores: Scores) -> Scores:
    return np.where(np.isnan(scores), np.float32(0), scores)
