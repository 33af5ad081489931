"""What the category paths of the products say: related tags and parents."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.domain.related import cosine_matrix
from shared.domain.vocabulary import clean_segment, minimum_share, segments_of
from worker.dataset.labelled import LabelledPhoto

RELATED_SHARE = 0.005


def related_of(
    photos: Iterable[LabelledPhoto], share: float = RELATED_SHARE
) -> tuple[list[str], NDArray[np.float32]]:
    """Similarities between the tags and path segments of distinct products.

    Args:
        photos: the training photos; their products' labelled tags and path segments are joined.
        share: a tag is kept from this share of the products on (the paper's 0.5 %).

    Returns:
        Names, sorted, and float32 `[names, names]`.
    """
    tags_of: dict[str, set[str]] = {}
    for photo in photos:
        tags_of.setdefault(photo.product, set()).update(
            map(clean_segment, photo.tags), segments_of(photo.paths)
        )
    names = minimum_share(tags_of, share)
    column = {name: index for index, name in enumerate(names)}
    carries = np.zeros((len(tags_of), len(names)), np.float32)
    for row, tags in enumerate(tags_of.values()):
        carries[row, [column[tag] for tag in tags if tag in column]] = 1
    return names, cosine_matrix(carries)


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
