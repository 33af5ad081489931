"""What the category paths of the products say: related tags and parents."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.domain.related import MINIMUM_SHARE, Measure, similarity_matrix
from shared.domain.vocabulary import clean_segment, minimum_share, segments_of
from worker.dataset.labelled import LabelledPhoto


class Filed(Protocol):
    """Says under what a product is filed; a product may be said several times."""

    @property
    def product(self) -> str:
        """Its id."""
        ...

    @property
    def tags(self) -> Sequence[str]:
        """Its labels."""
        ...

    @property
    def paths(self) -> Sequence[Sequence[str]]:
        """Its category paths, root first."""
        ...


def related_of(
    photos: Iterable[Filed],
    share: float = MINIMUM_SHARE,
    measure: Measure = "cosine",
    minimum_support: int = 1,
) -> tuple[list[str], NDArray[np.float32]]:
    """Similarities between the tags and path segments of distinct products.

    Args:
        photos: the training photos; their products' labelled tags and path segments are joined.
        share: a tag is kept from this share of the products on (the paper's 0.5 %).
        measure: see `similarity_matrix`.
        minimum_support: products that a tag, and a pair of tags, must at least be seen on.

    Returns:
        Names, sorted, and float32 `[names, names]`.
    """
    tags_of = tags_by_product(photos)
    names = minimum_share(tags_of, share)
    return names, similarity_matrix(table_of(tags_of.values(), names), measure, minimum_support)


def tags_by_product(photos: Iterable[Filed]) -> dict[str, set[str]]:
    """Product -> its labelled tags and cleaned path segments, of all its photos together."""
    tags_of: dict[str, set[str]] = {}
    for photo in photos:
        tags_of.setdefault(photo.product, set()).update(
            map(clean_segment, photo.tags), segments_of(photo.paths)
        )
    return tags_of


def table_of(rows: Collection[Iterable[str]], names: Sequence[str]) -> NDArray[np.float32]:
    """float32 `[rows, names]`, 1 where the row has the name; other names are passed over."""
    column = {name: index for index, name in enumerate(names)}
    carries = np.zeros((len(rows), len(names)), np.float32)
    for row, tags in enumerate(rows):
        carries[row, [column[tag] for tag in tags if tag in column]] = 1
    return carries


def parents_of(photos: Iterable[LabelledPhoto], tags: Sequence[str]) -> dict[str, str]:
    """The tag above each tag, by most products; tags without one are roots and absent.

    A segment with a comma also stands for its pieces: the authors' labels split "Bags, Cases &
    Sleeves" into two tags.
    """
    paths = {
        (photo.product, tuple(map(clean_segment, path))) for photo in photos for path in photo.paths
    }
    votes: Counter[tuple[str, str]] = Counter()
    for _, path in paths:
        above: str | None = None
        for segment in path:
            here = [tag for tag in dict.fromkeys([segment, *segment.split(", ")]) if tag in tags]
            votes.update((tag, above) for tag in here if above is not None and above != tag)
            above = here[-1] if here else above
    parents: dict[str, str] = {}
    for (tag, above), _ in sorted(votes.items(), key=lambda item: (-item[1], item[0])):
        if tag not in parents and tag not in _ancestors(above, parents):
            parents[tag] = above
    return dict(sorted(parents.items()))


def _ancestors(tag: str, parents: dict[str, str]) -> set[str]:
    found = {tag}
    while (above := parents.get(tag)) is not None:
        found.add(above)
        tag = above
    return found
