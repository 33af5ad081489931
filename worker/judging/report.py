"""All that is measured when a model is judged, as one dictionary."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.judging.bootstrap import LEVEL, intervals
from worker.judging.curves import calibration, threshold_curve
from worker.judging.measures import Judged, measure, measure_tags


def judge(
    scores: NDArray[np.float32],
    truth: NDArray[np.bool_],
    thresholds: NDArray[np.float32],
    tags: Sequence[str],
    *,
    products: Sequence[str],
    sources: Sequence[str],
    sets: Sequence[str],
    bootstrap: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """Measures scores against the truth.

    Args:
        scores: float32 `[n, tags]` in 0..1, n > 0. A photo with NaN got no scores: it is counted
            under `unscored` and judged as one that was given no tag.
        truth: bool `[n, tags]`.
        thresholds: float32 `[tags]`; a tag is given from this score on.
        tags: `[tags]` names.
        products: `[n]`, the product of each photo.
        sources: `[n]`, `catalogue` or `user`.
        sets: `[n]`, the collection of each photo.
        bootstrap: resamples for the intervals; 0 for none.
        seed: of the resamples.

    Returns:
        What JSON can hold: `overall`, `by_source` and `by_set` (also as `source` and `set`), each
        as `measures.measure` says; `by_tag`, see `measures.measure_tags`; `intervals` of the
        overall measures; `baselines`, `calibration`, `threshold_curve` and `unscored`.

    Raises:
        ValueError: shapes or lengths do not fit, or there is no photo.
    """
    _check(scores, truth, thresholds, tags, (products, sources, sets))
    unscored: NDArray[np.bool_] = np.asarray(np.isnan(scores).any(axis=1))
    scores = np.where(unscored[:, None], np.float32(0), scores)
    predicted = (scores >= thresholds) & ~unscored[:, None]
    _, numbered = np.unique(np.array(products, dtype=object), return_inverse=True)
    judged = Judged(scores, predicted, truth, numbered)
    by_source, by_set = _by_group(judged, sources), _by_group(judged, sets)
    return {
        "overall": measure(judged),
        "unscored": int(unscored.sum()),
        "intervals": _intervals(judged, bootstrap, seed),
        "baselines": _baselines(judged, tags),
        "by_source": by_source,
        "by_set": by_set,
        "by_tag": measure_tags(judged, tags, thresholds),
        "calibration": calibration(scores, truth),
        "threshold_curve": threshold_curve(scores, truth),
        # For readers that look the slices up by the column's name.
        "source": by_source,
        "set": by_set,
    }


def _intervals(judged: Judged, resamples: int, seed: int) -> dict[str, Any]:
    if resamples < 1:
        return {}
    return {
        "level": LEVEL,
        "resamples": resamples,
        "over": "products",
        **intervals(judged, resamples=resamples, seed=seed),
    }


def _by_group(judged: Judged, groups: Sequence[str]) -> dict[str, Any]:
    names = np.array(groups, dtype=object)
    return {group: measure(judged.of(names == group)) for group in sorted(set(groups))}


def _baselines(judged: Judged, tags: Sequence[str]) -> dict[str, Any]:
    """What answers without a look at the photo score: no tag, and the commonest tag set."""
    nothing = np.zeros_like(judged.truth)
    rows = [tuple(np.flatnonzero(row).tolist()) for row in judged.truth]
    commonest = _commonest(rows)
    tagged = _commonest([row for row in rows if row] or rows)
    return {
        "always_empty": measure(_answering(judged, nothing)),
        "most_frequent": _constant(judged, tags, commonest),
        "most_frequent_nonempty": _constant(judged, tags, tagged),
    }


def _constant(judged: Judged, tags: Sequence[str], columns: tuple[int, ...]) -> dict[str, Any]:
    answer = np.zeros_like(judged.truth)
    answer[:, list(columns)] = True
    return {"tags": [tags[column] for column in columns], **measure(_answering(judged, answer))}


def _answering(judged: Judged, predicted: NDArray[np.bool_]) -> Judged:
    return replace(judged, predicted=predicted, scores=predicted.astype(np.float32))


def _commonest(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    # Ties by the tags' order, so that the order of the photos decides nothing.
    return min(Counter(rows).items(), key=lambda found: (-found[1], found[0]))[0]


def _check(
    scores: NDArray[np.float32],
    truth: NDArray[np.bool_],
    thresholds: NDArray[np.float32],
    tags: Sequence[str],
    columns: Sequence[Sequence[str]],
) -> None:
    if scores.shape != truth.shape or scores.ndim != 2 or len(scores) == 0:
        raise ValueError(f"cannot judge {scores.shape} scores by a truth of {truth.shape}")
    if thresholds.shape != (scores.shape[1],) or len(tags) != scores.shape[1]:
        raise ValueError(f"{thresholds.shape} thresholds, {len(tags)} tags, {scores.shape} scores")
    if any(len(column) != len(scores) for column in columns):
        raise ValueError(f"a product, source and set is needed for each of {len(scores)} photos")
