"""How well keyword spam is found: on products with planted spam, and on honest ones."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from shared.domain.related import RelatedTags
from shared.domain.spam import SpamJudge
from worker.judging.spam import (
    MAX_PLANTED,
    SIMILAR,
    SPAMMED,
    Products,
    Said,
    plant,
    plant_similar,
    verdicts,
)

#: Who adds what is chance, and so is which products were in the data: figures are medians of so
#: many draws of spam, with 95 % intervals over products that are drawn again in each.
DRAWS: Final = 20
_RESAMPLES: Final = 50
_LEVEL: Final = 0.95
#: Shares of spamming sellers for which precision is told as well: most marketplaces have fewer.
PREVALENCES: Final = (0.05, 0.2, SPAMMED)
_SHOWN: Final = 10
_BINS: Final = 10


def judge_spam(
    judge: SpamJudge,
    products: Products,
    thresholds: NDArray[np.float32],
    related: RelatedTags,
    *,
    seed: int,
) -> dict[str, Any]:
    """All figures, as JSON.

    Args:
        judge: the judge.
        products: neither the network nor the judge was fitted to them.
        thresholds: float32 `[tags]`.
        related: says which names are similar.
        seed: plants the spam.
    """
    known = frozenset(judge.names)

    def draws(plant: Callable[..., list[Said]], spammed: float) -> list[_Draw]:
        return [
            _Draw.of(judge, products, thresholds, plant(seed=seed + draw, spammed=spammed))
            for draw in range(DRAWS)
        ]

    popular = partial(plant, products, judge.names)
    of_all = {share: draws(popular, share) for share in PREVALENCES}
    similar = draws(partial(plant_similar, products, judge.names, related), SPAMMED)
    halves = of_all[SPAMMED]
    scores = np.concatenate([draw.scores for draw in halves])
    planted = np.concatenate([draw.planted for draw in halves])
    return {
        "products": len(products.ids),
        "names": len(judge.names),
        "names_said": len(frozenset[str]().union(*products.names)),
        "words_judged": _share(
            sum(len(its & known) for its in products.names), sum(map(len, products.names))
        ),
        "cutoff": judge.cutoff,
        "spammed": SPAMMED,
        "max_planted": MAX_PLANTED,
        "draws": DRAWS,
        "seed": seed,
        "precision": _spread(halves, _precision),
        "recall": _spread(halves, _recall),
        "average_precision": float(average_precision_score(planted, scores)),
        "by_prevalence": [
            {"spammed": share, "precision": _spread(its, _precision)}
            for share, its in of_all.items()
        ],
        "similar": {
            "above": SIMILAR,
            "precision": _spread(similar, _precision),
            "recall": _spread(similar, _recall),
        },
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


@dataclass(frozen=True)
class _Draw:
    """What sellers say, who planted what, and what the judge makes of it.

    Attributes:
        planted: bool `[said]`.
        scores: float64 `[said]`.
        per_product: float64 `[3, products]`: words planted, flagged, and both.
    """

    planted: NDArray[np.bool_]
    scores: NDArray[np.float64]
    per_product: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        judge: SpamJudge,
        products: Products,
        thresholds: NDArray[np.float32],
        said: Sequence[Said],
    ) -> "_Draw":
        scores = verdicts(judge, products, thresholds, said).spam if said else np.zeros(0)
        planted = np.array([word.planted for word in said], np.bool_)
        flagged = scores >= judge.cutoff
        owners = np.array([word.product for word in said], np.intp)
        counts = [
            np.bincount(owners, which, minlength=len(products.ids)).astype(np.float64)
            for which in (planted, flagged, planted & flagged)
        ]
        return cls(planted, scores, np.stack(counts))


def _precision(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of sums `[3, n]` of planted, flagged and both; NaN where nothing is flagged."""
    return _divided(counts[2], counts[1])


def _recall(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of sums `[3, n]` of planted, flagged and both; NaN where nothing is planted."""
    return _divided(counts[2], counts[0])


def _honest(
    judge: SpamJudge, products: Products, thresholds: NDArray[np.float32]
) -> dict[str, Any]:
    """How many are flagged where nobody spams, and by which words.

    Shares of listings are of those that say a word which can be judged: no other can be flagged.
    """
    said = plant(products, judge.names, seed=0, spammed=0.0)
    draw = _Draw.of(judge, products, thresholds, said)
    flagged = draw.scores >= judge.cutoff
    judged = np.zeros(len(products.ids))
    judged[[word.product for word in said]] = 1
    accused = (draw.per_product[1] > 0).astype(np.float64)
    words = Counter(word.name for word in said)
    wrong = Counter(word.name for word, its in zip(said, flagged, strict=True) if its)
    sources = np.array(products.sources)
    listings = np.stack([judged, judged, accused])
    return {
        "words": len(said),
        "words_flagged": _share(int(flagged.sum()), len(said)),
        "listings": len(products.ids),
        "listings_judged": int(judged.sum()),
        "listings_flagged": _spread([replace(draw, per_product=listings)], _recall),
        "listings_flagged_by_source": {
            str(source): _share(
                int(accused[sources == source].sum()), int(judged[sources == source].sum())
            )
            for source in np.unique(sources)
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


def _spread(
    draws: Sequence[_Draw], measure: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> dict[str, float | None]:
    """The median over draws, and what 95 % of resamples of products lie between."""
    random = np.random.default_rng(0)
    resamples = _RESAMPLES * DRAWS // len(draws)
    found = [float(measure(draw.per_product.sum(axis=1))) for draw in draws]
    sampled: list[NDArray[np.float64]] = []
    for draw in draws:
        count = draw.per_product.shape[1]
        for _ in range(resamples):
            times = np.bincount(random.integers(count, size=count), minlength=count)
            sampled.append(measure(draw.per_product @ times))
    if np.isnan(found).all():
        return {"median": None, "low": None, "high": None}
    tail = (1 - _LEVEL) / 2
    low, high = np.nanquantile(sampled, [tail, 1 - tail])
    return {"median": float(np.nanmedian(found)), "low": float(low), "high": float(high)}


def _divided(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
