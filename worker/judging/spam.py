"""Products whose sellers say more than is true, and how likely a judge takes each word for spam."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.related import RelatedTags
from shared.domain.scores import fuse
from shared.domain.spam import SpamJudge, Verdicts
from worker.dataset.catalogue import tags_by_product
from worker.dataset.labelled import LabelledPhoto

#: Planted: of all listings, so many carry spam, each one to three words.
SPAMMED: Final = 0.5
MAX_PLANTED: Final = 3
#: Names that are more similar to a product's own are hard to tell from what is true.
SIMILAR: Final = 0.02


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
    judged = frozenset(names)
    counts = Counter(name for its in products.names for name in its & judged)
    popular = {name: counts[name] for name in sorted(counts)}
    return _planted(products, judged, lambda _: popular, seed=seed, spammed=spammed)


def plant_similar(
    products: Products,
    names: Sequence[str],
    related: RelatedTags,
    *,
    seed: int,
    spammed: float = SPAMMED,
) -> list[Said]:
    """As `plant`, but they add names that often go with those of such products, all alike.

    Args:
        products: what is sold; who says nothing similar to anything adds nothing.
        names: words that can be judged; others are left out.
        related: the similarities.
        seed: decides who adds what.
        spammed: the share of sellers who do.
    """
    judged = [name for name in names if name in related.names]
    place = {name: index for index, name in enumerate(related.names)}
    columns = [place[name] for name in judged]

    def similar(its: frozenset[str]) -> dict[str, int]:
        own = [place[name] for name in sorted(its) if name in place]
        most = related.matrix[np.ix_(own, columns)].max(axis=0, initial=0)
        return {judged[at]: 1 for at in np.flatnonzero(most > SIMILAR) if judged[at] not in its}

    return _planted(products, frozenset(names), similar, seed=seed, spammed=spammed)


def _planted(
    products: Products,
    judged: frozenset[str],
    others: Callable[[frozenset[str]], Mapping[str, int]],
    *,
    seed: int,
    spammed: float,
) -> list[Said]:
    """True names, and some of the others of a product's names, by their weights."""
    chance = random.Random(seed)  # noqa: S311  # plants examples, guards nothing
    said: list[Said] = []
    for product, its in enumerate(products.names):
        said += [Said(product, name, planted=False) for name in sorted(its & judged)]
        weights = others(its)
        if weights and chance.random() < spammed:
            drawn = chance.choices(
                [*weights], [*weights.values()], k=chance.randint(1, MAX_PLANTED)
            )
            said += [
                Said(product, name, planted=True)
                for name in dict.fromkeys(drawn)
                if name not in its
            ]
    return said


def verdicts(
    judge: SpamJudge,
    products: Products,
    thresholds: NDArray[np.float32],
    said: Sequence[Said],
) -> Verdicts:
    """What the judge says of each word, whatever its cutoff."""
    place = {name: index for index, name in enumerate(judge.names)}
    rows = np.array([word.product for word in said], np.intp)
    names = np.array([place[word.name] for word in said], np.intp)
    return judge.verdicts(products.scores, products.scores >= thresholds, rows, names)
