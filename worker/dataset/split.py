"""The parts of a data set: train, validation and test, by product or, as the paper, by photo."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from worker.dataset.labelled import LabelledPhoto, Part
from worker.dataset.union_find import UnionFind

PARTS: Final[tuple[Part, ...]] = ("train", "validation", "test")
#: In percent: whole numbers, because a share of 0.7 of 10 is less than 7 in floats.
PERCENT: Final[Mapping[Part, int]] = {"train": 70, "validation": 15, "test": 15}
#: The paper's: 15 % of the photos for test, then 10 % of the others for validation.
PAPER_TEST_PERCENT, PAPER_VALIDATION_PERCENT = 15, 10


@dataclass(frozen=True, slots=True)
class _Group:
    """Products that share near-duplicate photos: on one side of the split, all of them."""

    order: bytes
    #: What its part should get its share of, the scarcest first: tags, set and source, all.
    needs: tuple[tuple[str, ...], ...]


def split(
    photos: Sequence[LabelledPhoto], seed: int, groups: Mapping[str, str] | None = None
) -> list[Part]:
    """The part of each photo, in their order: 70 % train, 15 % validation, 15 % test of groups.

    A group is a product together with all products that it is joined to by near-duplicate photos
    (the paper split by photo, which leaks). Groups are stratified by set, source and rarest tag:
    within a stratum they are ordered by a hash of seed and name and cut by share, and what is
    left of small strata goes to the part that is furthest behind with their rarest tag, then
    with their other tags, their set, and all. That is how iterative stratification (Sechidis et
    al., 2011) treats scarce labels. The order of photos changes nothing.

    Args:
        photos: the rows of a data set.
        seed: another seed moves other groups.
        groups: near-duplicate group by photo, for those photos that are in one.
    """
    names = _group_names(photos, groups or {})
    described = _describe(photos, names, seed)
    strata: defaultdict[tuple[tuple[str, ...], ...], list[str]] = defaultdict(list)
    for name in sorted(described, key=lambda name: (described[name].order, name)):
        needs = described[name].needs
        # The rarest tag (or none) and the set with its source, which is the last but one.
        strata[needs[0], needs[-2]].append(name)
    parts: dict[str, Part] = {}
    leftovers: list[str] = []
    for members in strata.values():
        whole = {part: len(members) * PERCENT[part] // 100 for part in PARTS}
        dealt: list[Part] = [part for part in PARTS for _ in range(whole[part])]
        parts.update(zip(members, dealt, strict=False))
        leftovers += members[len(dealt) :]
    _deal_leftovers(leftovers, described, parts)
    return [parts[name] for name in names]


def image_split(photos: Sequence[LabelledPhoto], seed: int) -> list[Part]:
    """The part of each photo by the paper: at random, whatever product it shows.

    Test is 15 % of all, validation 10 % of the others. For comparison only: photos of one product
    end up on both sides. The order of photos changes nothing.
    """
    order = sorted(range(len(photos)), key=lambda row: (_hash(seed, photos[row].photo), row))
    tests = round(len(photos) * PAPER_TEST_PERCENT / 100)
    validations = round((len(photos) - tests) * PAPER_VALIDATION_PERCENT / 100)
    parts: list[Part] = ["train"] * len(photos)
    for place, row in enumerate(order[: tests + validations]):
        parts[row] = "test" if place < tests else "validation"
    return parts


def _group_names(photos: Sequence[LabelledPhoto], groups: Mapping[str, str]) -> list[str]:
    """The first product, by name, of each photo's group."""
    products = UnionFind[str]()
    first_of: dict[str, str] = {}
    for photo in photos:
        if (group := groups.get(photo.photo)) is not None:
            products.join(photo.product, first_of.setdefault(group, photo.product))
    return [products.find(photo.product) for photo in photos]


def _describe(
    photos: Sequence[LabelledPhoto], names: Sequence[str], seed: int
) -> dict[str, _Group]:
    tags: defaultdict[str, set[str]] = defaultdict(set)
    places: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for name, photo in zip(names, photos, strict=True):
        tags[name].update(photo.tags)
        places[name][photo.set_name, photo.source] += 1
    carriers = Counter(tag for its_tags in tags.values() for tag in its_tags)
    described: dict[str, _Group] = {}
    for name, counted in places.items():
        rarest_first = sorted(tags[name], key=lambda tag: (carriers[tag], tag))
        # Where most of its photos are from; a tie goes by name, so that row order cannot decide.
        place = min(counted, key=lambda place: (-counted[place], place))
        needs = [("tag", tag) for tag in rarest_first] or [("no tag",)]
        described[name] = _Group(_hash(seed, name), (*needs, ("place", *place), ("all",)))
    return described


def _deal_leftovers(
    leftovers: Sequence[str], described: Mapping[str, _Group], parts: dict[str, Part]
) -> None:
    """Each to the part that lacks most of what it brings, groups of the rarest tags first."""
    total = Counter(need for group in described.values() for need in group.needs)
    given = Counter((need, part) for name, part in parts.items() for need in described[name].needs)

    def lack(part: Part, group: _Group) -> list[int]:
        return [PERCENT[part] * total[need] - 100 * given[need, part] for need in group.needs]

    def urgency(name: str) -> tuple[int, bytes, str]:
        group = described[name]
        return total[group.needs[0]], group.order, name

    for name in sorted(leftovers, key=urgency):
        group = described[name]
        part = max(PARTS, key=lambda part: lack(part, group))
        parts[name] = part
        given.update((need, part) for need in group.needs)


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode(errors="surrogatepass")).digest()
