"""How good scores are: the measures of the paper and those it lacks, whole and by group."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.domain.scores import exact_match_ratio, hamming_score

Scores = NDArray[np.float32]
Truth = NDArray[np.bool_]


def measure(scores: Scores, truth: Truth, threshold: float) -> dict[str, float]:
    """The measures over photos; the score and the truth are `[n, tags]`, n > 0.

    `hamming_tagged` leaves out photos without tags, which a model that never answers gets right;
    it is absent where no photo carries one. `hamming_always_empty` is that model's score.
    """
    predicted = scores >= np.float32(threshold)
    nothing = np.zeros_like(truth)
    tagged = truth.any(axis=1)
    found = {
        "photos": float(len(truth)),
        "hamming": hamming_score(predicted, truth),
        "exact_match": exact_match_ratio(predicted, truth),
        "hamming_always_empty": hamming_score(nothing, truth),
        "exact_match_always_empty": exact_match_ratio(nothing, truth),
    }
    if tagged.any():
        found["hamming_tagged"] = hamming_score(predicted[tagged], truth[tagged])
    return {name: round(value, 4) for name, value in found.items()}


def measure_tags(
    scores: Scores, truth: Truth, threshold: float, tags: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and average precision of each tag that at least one photo carries."""
    predicted = scores >= np.float32(threshold)
    found: dict[str, dict[str, float]] = {}
    for column, tag in enumerate(tags):
        carried = truth[:, column]
        support = int(carried.sum())
        if not support:
            continue
        hits = int((predicted[:, column] & carried).sum())
        answers = int(predicted[:, column].sum())
        found[tag] = {
            "photos": support,
            "precision": round(hits / answers, 4) if answers else 0.0,
            "recall": round(hits / support, 4),
            "f1": round(2 * hits / (answers + support), 4),
            "average_precision": round(_average_precision(scores[:, column], carried), 4),
        }
    return found


def macro(per_tag: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The unweighted means over tags: macro F1 and mean average precision."""
    return {
        name: round(float(np.mean([tag[column] for tag in per_tag.values()])), 4)
        for name, column in (("macro_f1", "f1"), ("mean_average_precision", "average_precision"))
        if per_tag
    }


def measure_groups(
    scores: Scores, truth: Truth, threshold: float, groups: Sequence[str]
) -> dict[str, dict[str, float]]:
    """The measures of each group of photos; `groups` names the group of every photo."""
    names = np.array(groups)
    return {
        group: measure(scores[names == group], truth[names == group], threshold)
        for group in sorted(set(groups))
    }


def report(
    scores: Scores,
    truth: Truth,
    threshold: float,
    tags: Sequence[str],
    *,
    sources: Sequence[str],
    sets: Sequence[str],
) -> dict[str, Any]:
    """Everything that is measured on one part of a data set."""
    per_tag = measure_tags(scores, truth, threshold, tags)
    return {
        **measure(scores, truth, threshold),
        **macro(per_tag),
        "by_source": measure_groups(scores, truth, threshold, sources),
        "by_set": measure_groups(scores, truth, threshold, sets),
        "by_tag": per_tag,
    }


def _average_precision(scores: NDArray[np.float32], carried: NDArray[np.bool_]) -> float:
    # The step-wise area under precision over recall; equal scores form one step.
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(carried[order])
    answers = np.arange(1, len(scores) + 1)
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    hits, answers = hits[last_of_equals], answers[last_of_equals]
    recall = hits / hits[-1]
    return float((np.diff(recall, prepend=0.0) * hits / answers).sum())
