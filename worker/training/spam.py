"""Fits the judge of keyword spam, on products whose photos the network was not fitted to."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_curve
from threadpoolctl import threadpool_limits

from shared.domain.related import RelatedTags
from shared.domain.spam import LEAST_SHARE, MAX_NAMES, SpamJudge, Verdicts, features
from worker.dataset.catalogue import table_of
from worker.judging.spam import Products, Said, plant, verdicts

#: A name with fewer products than this is not judged: nothing is known of how they look.
MIN_PRODUCTS: Final = 15
#: Tags whose logits are multiplied with each other; with all, weights would grow by the square.
MAX_PAIRED_TAGS: Final = 24
#: Names less similar than this speak against each other.
APART_BELOW: Final = 0.1
EVIDENCE: Final = 0.1
#: Above the 0.95 that is wanted of other listings: a cutoff flatters the data it was chosen on.
PRECISION: Final = 0.96
#: Fewer flagged tags say little about their precision.
MIN_FLAGGED: Final = 50
_FOLDS: Final = 10
#: Who adds what is chance: calibration and cutoff are taken over so many draws.
_DRAWS: Final = 5
_STRENGTH: Final = 0.1  # inverse of the penalty


@threadpool_limits.wrap(limits=1)  # so small that threads cost more than they give
def fit(
    products: Products,
    vocabulary: Sequence[str],
    thresholds: NDArray[np.float32],
    parents: Mapping[str, str],
    related: RelatedTags,
    *,
    seed: int = 0,
) -> SpamJudge | None:
    """A judge of the names that are frequent enough.

    The filing models are fitted to all products. Calibration and cutoff come from models that did
    not see the product they judge, on planted spam.

    Args:
        products: not among those the network was fitted to.
        vocabulary: the model's tags.
        thresholds: float32 `[tags]`.
        parents: tag -> the tag above it.
        related: says which names go together.
        seed: plants the spam.

    Returns:
        None where hardly a name is frequent enough, or no cutoff is as precise as is wanted.
    """
    known = frozenset(related.names)
    counts = Counter(name for its in products.names for name in its & known)
    frequent = {name for name, count in counts.most_common(MAX_NAMES) if count >= MIN_PRODUCTS}
    names = tuple(name for name in related.names if name in frequent)
    if len(names) < 2:  # one name alone has nothing that speaks against it
        return None
    pairs = _pairs(products.scores, thresholds)
    carries = table_of(products.names, names) > 0
    place = [related.names.index(name) for name in names]
    apart = related.matrix[np.ix_(place, place)] < APART_BELOW
    np.fill_diagonal(apart, val=False)
    judge = SpamJudge(
        names=names,
        pairs=pairs,
        weights=np.zeros((len(names), 0), np.float32),
        biases=np.zeros(len(names), np.float32),
        shares=carries.mean(axis=0).astype(np.float32),
        apart=apart,
        implied=_implied(names, vocabulary, parents),
        evidence=EVIDENCE,
        calibration=(0.0, 0.0, 0.0),
        cutoff=1.0,
    )
    said = [word for draw in range(_DRAWS) for word in plant(products, names, seed=seed + draw)]
    fold = np.random.default_rng(seed).integers(0, _FOLDS, len(products.ids))
    unseen = [_with_filing(judge, products.scores, carries, fold != part) for part in range(_FOLDS)]
    of_fold = [[word for word in said if fold[word.product] == part] for part in range(_FOLDS)]
    said = [word for its in of_fold for word in its]
    shares = _verdicts(unseen, of_fold, products, thresholds).shares
    calibrated = _calibrated(shares, judge, said)
    unseen = [replace(one, calibration=calibrated) for one in unseen]
    cutoff = _cutoff(_verdicts(unseen, of_fold, products, thresholds).spam, said)
    if cutoff is None:
        return None
    everything = np.ones(len(products.ids), np.bool_)
    whole = _with_filing(judge, products.scores, carries, everything)
    return replace(whole, calibration=calibrated, cutoff=cutoff)


def _pairs(scores: NDArray[np.float32], thresholds: NDArray[np.float32]) -> NDArray[np.intp]:
    frequent = np.argsort(-(scores >= thresholds).sum(axis=0), kind="stable")[:MAX_PAIRED_TAGS]
    return np.array(list(combinations_with_replacement(sorted(frequent.tolist()), 2)), np.intp)


def _implied(
    names: Sequence[str], vocabulary: Sequence[str], parents: Mapping[str, str]
) -> NDArray[np.bool_]:
    place = {name: index for index, name in enumerate(names)}
    implied = np.zeros((len(names), len(vocabulary)), np.bool_)
    for column, tag in enumerate(vocabulary):
        above: str | None = tag
        while above is not None:
            if above.lower() in place:
                implied[place[above.lower()], column] = True
            above = parents.get(above)
    return implied


def _with_filing(
    judge: SpamJudge,
    scores: NDArray[np.float32],
    carries: NDArray[np.bool_],
    rows: NDArray[np.bool_],
) -> SpamJudge:
    """The judge with filing models of some rows."""
    given = features(scores[rows], judge.pairs)
    weights = np.zeros((len(judge.names), given.shape[1]), np.float32)
    biases = np.full(len(judge.names), -10.0, np.float32)
    for index, filed in enumerate(carries[rows].T):
        if filed.all():
            biases[index] = 10.0
        elif filed.any():
            model = LogisticRegression(C=_STRENGTH, solver="newton-cholesky").fit(given, filed)
            weights[index], biases[index] = model.coef_[0], model.intercept_[0]
    return replace(judge, weights=weights, biases=biases)


def _verdicts(
    unseen: Sequence[SpamJudge],
    of_fold: Sequence[Sequence[Said]],
    products: Products,
    thresholds: NDArray[np.float32],
) -> Verdicts:
    """What each judge says of the words of the products that it did not see."""
    return Verdicts.joined(
        [
            verdicts(judge, products, thresholds, its)
            for judge, its in zip(unseen, of_fold, strict=True)
            if its
        ]
    )


def _calibrated(
    shares: NDArray[np.float64], judge: SpamJudge, said: Sequence[Said]
) -> tuple[float, float, float]:
    place = {name: index for index, name in enumerate(judge.names)}
    of_all = judge.shares[[place[word.name] for word in said]]
    both = np.log(np.maximum(np.c_[shares, of_all], LEAST_SHARE))
    model = LogisticRegression(C=10).fit(both, [word.planted for word in said])
    return float(model.intercept_[0]), float(model.coef_[0][0]), float(model.coef_[0][1])


def _cutoff(scores: NDArray[np.float64], said: Sequence[Said]) -> float | None:
    """The lowest that gives the precision."""
    precision, _, cutoffs = precision_recall_curve([word.planted for word in said], scores)
    flagged = len(said) - np.searchsorted(np.sort(scores), cutoffs)
    good = cutoffs[(precision[:-1] >= PRECISION) & (flagged >= MIN_FLAGGED) & (cutoffs > 0)]
    return float(good.min()) if len(good) else None
