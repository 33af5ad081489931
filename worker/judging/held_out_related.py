"""Whether recommended tags are right: for products that the similarities were not made of."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.related import CUTOFF, LIMIT, Measure, RelatedTags
from shared.domain.vocabulary import clean_segment
from worker.dataset.catalogue import Filed, related_of, tags_by_product

#: One product in so many is held out.
FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How well the labels of held-out products recommend the rest of what they are filed under."""

    products: int  #: held-out products with a label that the matrix knows
    recommended: float  #: tags recommended, mean a product
    precision: float | None  #: share of recommended tags that are right; None when there is none
    recall: float | None  #: share of the right tags that are recommended


def held_out(
    filings: Sequence[Filed],
    share: float,
    measure: Measure = "cosine",
    minimum_support: int = 1,
    *,
    cutoff: float = CUTOFF,
    limit: int = LIMIT,
    normalised: bool = True,
) -> HeldOut:
    """Makes similarities of four fifths of the products, and recommends for the last fifth.

    What a product carries by its labels is given, as in service, where a network finds it; right
    is what else of the matrix's names its paths say. Micro averages.

    Args:
        filings: see `related_of`, like the next three.
        share: see there.
        measure: see there.
        minimum_support: see there.
        cutoff: see `RelatedTags`, like the next two.
        limit: see there.
        normalised: see there.
    """
    made_of = [filing for filing in filings if not _is_held_out(filing.product)]
    others = [filing for filing in filings if _is_held_out(filing.product)]
    names, matrix = related_of(made_of, share, measure, minimum_support)
    related = RelatedTags(names, matrix, cutoff, limit, normalised=normalised)
    labels = _labels(others)
    products = recommended = right = wanted = 0
    for product, tags in tags_by_product(others).items():
        given = labels[product] & set(names)
        if not given:
            continue
        products += 1
        hidden = tags & set(names) - given
        found = {name for name, _ in related.recommend(given)}
        recommended += len(found)
        right += len(found & hidden)
        wanted += len(hidden)
    return HeldOut(
        products=products,
        recommended=recommended / products if products else 0.0,
        precision=right / recommended if recommended else None,
        recall=right / wanted if wanted else None,
    )


def _labels(filings: Iterable[Filed]) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = {}
    for filing in filings:
        labels.setdefault(filing.product, set()).update(map(clean_segment, filing.tags))
    return labels


def _is_held_out(product: str) -> bool:
    # By name, so that neither the order nor the number of rows moves a product.
    return zlib.crc32(product.encode(errors="surrogatepass")) % FOLDS == 0
