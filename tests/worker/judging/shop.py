"""A shop of a few kinds of products, and a judge of spam that is fitted to it."""

import numpy as np

from shared.domain.related import RelatedTags, similarity_matrix
from shared.domain.spam import SpamJudge
from worker.dataset.catalogue import table_of
from worker.judging.spam import Products
from worker.training.spam import fit

TAGS = ("cables", "headphones")
THRESHOLDS = np.array([0.5, 0.5], np.float32)
#: "hubs" look like cables do; "rare" is on too few products.
_KINDS = (
    (frozenset({"cables"}), (0.95, 0.03)),
    (frozenset({"cables", "hubs"}), (0.9, 0.05)),
    (frozenset({"headphones"}), (0.04, 0.93)),
    (frozenset[str](), (0.1, 0.1)),
)


def shop(seed: int, count: int = 240) -> Products:
    """Products of clear kinds, in turn."""
    random = np.random.default_rng(seed)
    kinds = [_KINDS[row % len(_KINDS)] for row in range(count)]
    scores = np.array([scores for _, scores in kinds]) + random.normal(0, 0.02, (count, 2))
    names = [names for names, _ in kinds]
    names[0] |= {"rare"}
    return Products(
        ids=tuple(f"P{row}" for row in range(count)),
        scores=np.clip(scores, 0, 1).astype(np.float32),
        names=tuple(names),
        sources=("catalogue", "user") * (count // 2),
    )


def related(products: Products) -> RelatedTags:
    """Which of their names go together."""
    names = ["cables", "headphones", "hubs", "rare"]
    return RelatedTags(names, similarity_matrix(table_of(products.names, names)))


def fitted(products: Products) -> SpamJudge:
    """A judge of these products."""
    judge = fit(products, TAGS, THRESHOLDS, {}, related(products))
    assert judge is not None
    return judge
