"""Products whose sellers say more than is true, and how likely a judge takes each word for spam."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.scores import fuse
from shared.domain.spam import SpamJudge
from worker.dataset.catalogue import tags_by_product
from worker.dataset.labelled import LabelledPhoto

#: Planted: of all listings, so many carry spam, each one to three words.
SPAMMED: Final = 0.5
MAX_PLANTED: Final = 3


@dataclass(frozen=True)
class Products:
    """Products with the scores of their photos and what they are truly filed under.

    Attributes:
        ids: the products.
        scores: float32 `[products, tags]`, fused over each one's photos.
        names: the true names of each: labels and cleaned path segments.
        sources: where the photos of each come from.
    """

    ids: tuple[str, ...]
    scores: NDArray[np.float32]
    names: tuple[frozenset[str], ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """One word of one seller."""

    product: int  #: place in `Products`
    name: str
    planted: bool


def products_of(photos: Sequence[LabelledPhoto], scores: NDArray[np.float32]) -> Products:
    """Joins the photos of each product; a photo that the model failed on counts as not there.

    Args:
        photos: rows.
        scores: float32 `[photos, tags]`; NaN where the model failed.
    """
    usable = np.flatnonzero(np.isfinite(scores).all(axis=1))
    rows: dict[str, list[int]] = {}
    for row, photo in ((row, photos[row]) for row in usable.tolist()):
        rows.setdefault(photo.product, []).append(row)
    names = tags_by_product(photos)
    return Products(
        ids=tuple(rows),
        scores=fuse(
            scores[[row for its in rows.values() for row in its]],
            [len(its) for its in rows.values()],
        ),
        names=tuple(frozenset(names[product]) for product in rows),
        sources=tuple(photos[its[0]].source for its in rows.values()),
    )


def plant(
    products: Products, names: Sequence[str], *, seed: int, spammed: float = SPAMMED
) -> list[Said]:
    """What sellers say: their products' true names, and some add others, the more popular first.

    Args:
        products: what is sold.
        names: words that can be judged; others are left out.
        seed: decides who adds what.
        spammed: the share of sellers who do.
    """
    chance = random.Random(seed)  # noqa: S311  # plants examples, guards nothing
    judged = frozenset(names)
    counts = Counter(name for its in products.names for name in its & judged)
    popular = sorted(counts)
    weights = [counts[name] for name in popular]
    said: list[Said] = []
    for product, its in enumerate(products.names):
        said += [Said(product, name, planted=False) for name in sorted(its & judged)]
        if popular and chance.random() < spammed:
            drawn = chance.choices(popular, weights, k=chance.randint(1, MAX_PLANTED))
            said += [
                Said(product, name, planted=True)
                for name in dict.fromkeys(drawn)
                if name not in its
            ]
    return said


def spam_scores(
    judge: SpamJudge,
    products: Products,
    thresholds: NDArray[np.float32],
    said: Sequence[Said],
) -> NDArray[np.float64]:
    """float64 `[said]`: how likely each word is spam, 0 where nothing speaks against it."""
    place = {name: index for index, name in enumerate(judge.names)}
    spam, *_ = judge.spam(products.scores, products.scores >= thresholds)
    return spam[[word.product for word in said], [place[word.name] for word in said]]
