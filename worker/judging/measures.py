"""How good scores are: of a slice of photos, and tag by tag."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, precision_recall_fscore_support

from shared.domain.scores import photo_hamming_scores

#: Below this, average precision is the luck of a few ranks, so `map` leaves the tag out.
MIN_POSITIVES = 4

#: Its stubs know only the word "warn" for what is 0 of 0.
_ZERO: Any = 0.0

Measured = dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class Judged:
    """Photos with what was found and what is true."""

    scores: NDArray[np.float32]  #: `[n, tags]` in 0..1, no NaN
    predicted: NDArray[np.bool_]  #: `[n, tags]`
    truth: NDArray[np.bool_]  #: `[n, tags]`
    products: NDArray[np.intp]  #: `[n]`, a number for each product

    def of(self, rows: NDArray[np.bool_]) -> "Judged":
        """Only the photos of these rows; bool `[n]`."""
        return Judged(
            self.scores[rows], self.predicted[rows], self.truth[rows], self.products[rows]
        )


def measure(judged: Judged) -> Measured:
    """The measures of one slice of photos, at least one.

    `hamming` is the paper's Hamming score and `exact_match` its MR; with `_nonempty`, over the
    photos that carry a tag only. `map` is the mean average precision over the tags that at
    least 4 photos of the slice carry, `macro_f1` the mean F1 over the tags that occur in the
    slice, `micro_f1` the F1 of all decisions together. What has nothing to be measured on is None.
    """
    scores, predicted, truth = judged.scores, judged.predicted, judged.truth
    hamming = photo_hamming_scores(predicted, truth)
    exact = (predicted == truth).all(axis=1)
    tagged = truth.any(axis=1)
    support = truth.sum(axis=0)
    ranked, occurring = support >= MIN_POSITIVES, support > 0
    return {
        "photos": len(truth),
        "products": len(np.unique(judged.products)),
        "photos_nonempty": int(tagged.sum()),
        "hamming": _rounded(hamming.mean()),
        "hamming_nonempty": _rounded(hamming[tagged].mean()) if tagged.any() else None,
        "exact_match": _rounded(exact.mean()),
        "exact_match_nonempty": _rounded(exact[tagged].mean()) if tagged.any() else None,
        "map": _rounded(np.mean(average_precisions(scores[:, ranked], truth[:, ranked])))
        if ranked.any()
        else None,
        "map_tags": int(ranked.sum()),
        "macro_f1": _rounded(_f1(predicted[:, occurring], truth[:, occurring], "macro"))
        if occurring.any()
        else None,
        "macro_f1_tags": int(occurring.sum()),
        "micro_f1": _rounded(_f1(predicted, truth, "micro")) if occurring.any() else None,
    }


def measure_tags(
    judged: Judged, tags: Sequence[str], thresholds: NDArray[np.float32]
) -> dict[str, Measured]:
    """Each tag's measures; None where no photo carries it or, for precision, none got it.

    `photos` is the tag's support, `answers` the photos that got it.
    """
    found: dict[str, Measured] = {}
    for column, tag in enumerate(tags):
        carried, given = judged.truth[:, column], judged.predicted[:, column]
        support, answers = int(carried.sum()), int(given.sum())
        precision, recall, f1, _ = precision_recall_fscore_support(
            carried, given, average="binary", zero_division=_ZERO
        )
        ranked = average_precisions(judged.scores[:, [column]], carried[:, None]) if support else []
        found[tag] = {
            "photos": support,
            "answers": answers,
            "threshold": _rounded(thresholds[column]),
            "precision": _rounded(precision) if answers else None,
            "recall": _rounded(recall) if support else None,
            "f1": _rounded(f1) if support else None,
            "average_precision": _rounded(ranked[0]) if support else None,
        }
    return found


def average_precisions(scores: NDArray[np.float32], truth: NDArray[np.bool_]) -> list[float]:
    """The average precision of each column; each has a positive."""
    return [
        float(average_precision_score(truth[:, column], scores[:, column]))
        for column in range(truth.shape[1])
    ]


def _f1(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], average: str) -> float:
    if truth.shape[1] == 1:
        # A single column is read as a binary problem, whose macro mean would be over yes and no.
        return float(f1_score(truth[:, 0], predicted[:, 0], zero_division=_ZERO))
    return float(f1_score(truth, predicted, average=average, zero_division=_ZERO))


def _rounded(value: Any) -> float:
    return round(float(value), 6)
