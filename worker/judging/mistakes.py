"""The worst mistakes: the photos on which a model is most surely wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Keeps a score of exactly 0 or 1 from an endless loss.
_SUREST = 1e-6


@dataclass(frozen=True, slots=True)
class Mistake:
    """One wrongly tagged photo."""

    row: int  #: of the scores
    loss: float  #: nats; how much the model is surprised by the tags it got wrong
    wrong: tuple[tuple[str, float], ...]  #: tags given though not true, with their score
    missed: tuple[tuple[str, float], ...]  #: true tags not given
    right: tuple[tuple[str, float], ...]


def worst_mistakes(
    scores: NDArray[np.float32],
    truth: NDArray[np.bool_],
    thresholds: NDArray[np.float32],
    tags: Sequence[str],
    products: Sequence[str],
    *,
    limit: int,
) -> list[Mistake]:
    """The photos with the largest cross-entropy over their wrongly decided tags, worst first.

    Of a product only the worst photo comes, or one odd thing would fill the list. Photos without
    scores are not among them.

    Args:
        scores: float32 `[n, tags]`.
        truth: bool `[n, tags]`.
        thresholds: float32 `[tags]`.
        tags: `[tags]` names.
        products: `[n]`, the product of each photo.
        limit: at most so many.
    """
    predicted = scores >= thresholds
    mistaken = (predicted != truth) & ~np.isnan(scores)
    sure = np.clip(np.nan_to_num(scores.astype(np.float64)), _SUREST, 1 - _SUREST)
    surprise = -np.log(np.where(truth, sure, 1 - sure))
    losses = (surprise * mistaken).sum(axis=1)
    found: list[Mistake] = []
    seen: set[str] = set()
    for place in np.argsort(-losses, kind="stable"):
        row = int(place)
        if len(found) == limit or losses[row] == 0:
            break
        if products[row] in seen:
            continue
        seen.add(products[row])
        found.append(
            Mistake(
                row=row,
                loss=round(float(losses[row]), 3),
                wrong=_named(predicted[row] & ~truth[row], scores[row], tags),
                missed=_named(truth[row] & ~predicted[row], scores[row], tags),
                right=_named(predicted[row] & truth[row], scores[row], tags),
            )
        )
    return found


def _named(
    which: NDArray[np.bool_], scores: NDArray[np.float32], tags: Sequence[str]
) -> tuple[tuple[str, float], ...]:
    ranked = sorted(np.flatnonzero(which).tolist(), key=lambda tag: -scores[tag])
    return tuple((tags[tag], round(float(scores[tag]), 3)) for tag in ranked)
