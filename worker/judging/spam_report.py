"""How well keyword spam is found: on products with planted spam, and on honest ones."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from shared.domain.spam import SpamJudge
from worker.judging.spam import MAX_PLANTED, SPAMMED, Products, Said, plant, spam_scores

#: Who adds what is chance: each figure is the median of so many draws, with the extremes.
DRAWS: Final = 20
#: Shares of spamming sellers for which precision is told as well: most marketplaces have fewer.
PREVALENCES: Final = (0.05, 0.2, SPAMMED)
_SHOWN: Final = 10
_BINS: Final = 10


def judge_spam(
    judge: SpamJudge, products: Products, thresholds: NDArray[np.float32], *, seed: int
) -> dict[str, Any]:
    """All figures, as JSON.

    Args:
        judge: the judge.
        products: neither the network nor the judge was fitted to them.
        thresholds: float32 `[tags]`.
        seed: plants the spam.
    """
    known = frozenset(judge.names)
    draws = [_drawn(judge, products, thresholds, seed=seed + draw) for draw in range(DRAWS)]
    scores = np.concatenate([its for _, its in draws])
    planted = np.concatenate([_planted(said) for said, _ in draws])
    return {
        "products": len(products.ids),
        "names": len(judge.names),
        "words_judged": _share(
            sum(len(its & known) for its in products.names), sum(map(len, products.names))
        ),
        "cutoff": judge.cutoff,
        "spammed": SPAMMED,
        "max_planted": MAX_PLANTED,
        "draws": DRAWS,
        "seed": seed,
        "precision": _spread([_precision(judge, *draw) for draw in draws]),
        "recall": _spread([_recall(judge, *draw) for draw in draws]),
        "average_precision": float(average_precision_score(planted, scores)),
        "by_prevalence": [
            {
                "spammed": share,
                "precision": _spread(
                    [
                        _precision(
                            judge,
                            *_drawn(judge, products, thresholds, seed=seed + draw, spammed=share),
                        )
                        for draw in range(DRAWS)
                    ]
                ),
            }
            for share in PREVALENCES
        ],
        "honest": _honest(judge, products, thresholds),
        "calibration": _calibration(scores, planted),
        "curve": _curve(scores, planted),
    }


def plot(report: Mapping[str, Any]) -> bytes:
    """A PNG: precision over recall with the shipped cutoff, and what scores mean."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    curve = report["curve"]
    left.plot([row["recall"] for row in curve], [row["precision"] for row in curve])
    if report["precision"]["median"] is not None:
        at = report["recall"]["median"], report["precision"]["median"]
        left.plot(*at, "o", label="at the cutoff")
        left.legend()
    left.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    bins = report["calibration"]
    right.plot([0, 1], [0, 1], color="#7f7f7f", linestyle=":")
    right.plot([row["mean_score"] for row in bins], [row["share_spam"] for row in bins], "o-")
    right.set(xlabel="score", ylabel="share that is spam", xlim=(0, 1), ylim=(0, 1))
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=110)
    return target.getvalue()


def _drawn(
    judge: SpamJudge,
    products: Products,
    thresholds: NDArray[np.float32],
    *,
    seed: int,
    spammed: float = SPAMMED,
) -> tuple[list[Said], NDArray[np.float64]]:
    said = plant(products, judge.names, seed=seed, spammed=spammed)
    return said, spam_scores(judge, products, thresholds, said)


def _planted(said: Sequence[Said]) -> NDArray[np.bool_]:
    return np.array([word.planted for word in said], np.bool_)


def _precision(judge: SpamJudge, said: Sequence[Said], scores: NDArray[np.float64]) -> float | None:
    flagged = scores >= judge.cutoff
    return float(_planted(said)[flagged].mean()) if flagged.any() else None


def _recall(judge: SpamJudge, said: Sequence[Said], scores: NDArray[np.float64]) -> float | None:
    planted = _planted(said)
    return float((scores >= judge.cutoff)[planted].mean()) if planted.any() else None


def _honest(
    judge: SpamJudge, products: Products, thresholds: NDArray[np.float32]
) -> dict[str, Any]:
    """How many are flagged where nobody spams, and by which words."""
    said, scores = _drawn(judge, products, thresholds, seed=0, spammed=0.0)
    flagged = scores >= judge.cutoff
    accused = {word.product for word, its in zip(said, flagged, strict=True) if its}
    words = Counter(word.name for word in said)
    wrong = Counter(word.name for word, its in zip(said, flagged, strict=True) if its)
    sources = Counter(products.sources)
    return {
        "words": len(said),
        "words_flagged": _share(int(flagged.sum()), len(said)),
        "listings": len(products.ids),
        "listings_flagged": _share(len(accused), len(products.ids)),
        "listings_flagged_by_source": {
            source: _share(sum(products.sources[its] == source for its in accused), count)
            for source, count in sorted(sources.items())
        },
        "most_often_wrong": [
            {"name": name, "flagged": count, "said": words[name]}
            for name, count in wrong.most_common(_SHOWN)
        ],
    }


def _calibration(
    scores: NDArray[np.float64], planted: NDArray[np.bool_]
) -> list[dict[str, float | int]]:
    """Of words that something speaks against, how many with such a score are spam."""
    asked = scores > 0
    scores, planted = scores[asked], planted[asked]
    bins = np.minimum((scores * _BINS).astype(np.intp), _BINS - 1)
    return [
        {
            "words": int((bins == bin_).sum()),
            "mean_score": float(scores[bins == bin_].mean()),
            "share_spam": float(planted[bins == bin_].mean()),
        }
        for bin_ in np.unique(bins).tolist()
    ]


def _curve(scores: NDArray[np.float64], planted: NDArray[np.bool_]) -> list[dict[str, float]]:
    """A hundred points of it."""
    if not planted.any():
        return []
    precision, recall, cutoffs = precision_recall_curve(planted, scores)
    points = np.unique(np.linspace(0, len(cutoffs) - 1, 100).astype(np.intp))
    return [
        {
            "cutoff": float(cutoffs[point]),
            "precision": float(precision[point]),
            "recall": float(recall[point]),
        }
        for point in points
    ]


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    found = [value for value in values if value is not None]
    if not found:
        return {"median": None, "least": None, "most": None}
    return {"median": float(np.median(found)), "least": min(found), "most": max(found)}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
