"""What buyers look for: category names that products are filed under, and what is right (pure)."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from worker.dataset.catalogue import parents_of, tags_by_product
from worker.dataset.labelled import LabelledPhoto

Group = Literal["inside", "below", "outside"]
GROUPS: Final[tuple[Group, ...]] = get_args(Group)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One query.

    Attributes:
        words: as a buyer types them: the name of a category.
        relevant: the products that are filed under it.
        group: `inside` where the name is a tag of the model; `below` where the category lies
            below one, so that photos tell something; else `outside`.
        ticked: the tag that a buyer would filter by: the name, or the tag nearest above it.
    """

    words: str
    relevant: frozenset[str]
    group: Group
    ticked: str | None


def wanted(
    filed: Mapping[str, Collection[str]],
    vocabulary: Sequence[str],
    others: Sequence[LabelledPhoto],
    minimum: int,
) -> list[Wanted]:
    """A query for each name that enough products are filed under, by name.

    Relevance is binary: a product is filed under the name, or it is not. To call its neighbours
    half right would be our opinion; no shop's filing says it.

    Args:
        filed: product -> what it is filed under.
        vocabulary: the model's tags.
        others: photos of other products; they say which tag is above a category, so that the
            products looked for have no part in that.
        minimum: how many products must be filed under a name.
    """
    under = _under(filed)
    elsewhere = _under(tags_by_product(others))
    queries: list[Wanted] = []
    for name in sorted(under):
        if len(under[name]) < minimum:
            continue
        inside = name in vocabulary
        above = name if inside else parents_of(others, [*vocabulary, name]).get(name, "")
        its, both = elsewhere[name], elsewhere[name] & elsewhere[above]
        # Some file printers under computers; a buyer who knows most shops does not look there.
        ticked = above if inside or 2 * len(both) > len(its) else None
        group: Group = "inside" if inside else "below" if ticked else "outside"
        queries.append(Wanted(name, frozenset(under[name]), group, ticked))
    return queries


def _under(filed: Mapping[str, Collection[str]]) -> defaultdict[str, set[str]]:
    """What is filed under each name."""
    under: defaultdict[str, set[str]] = defaultdict(set)
    for product, words in filed.items():
        for word in words:
            under[word].add(product)
    return under
