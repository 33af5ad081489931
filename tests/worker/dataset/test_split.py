"""Products stay on one side of the split, and every part gets its share of every tag."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.dataset.labelled import LabelledPhoto, Part
from worker.dataset.split import PARTS, image_split, split

SHARES: Mapping[Part, float] = {"train": 0.70, "validation": 0.15, "test": 0.15}


def _photo(
    name: str,
    product: str,
    tags: Sequence[str] = (),
    *,
    source: str = "catalogue",
    set_name: str = "s",
) -> LabelledPhoto:
    row = {"photo": name, "product": product, "tags": list(tags), "paths": []}
    return LabelledPhoto.model_validate(row | {"source": source, "set": set_name})


def _marketplace(products: int) -> list[LabelledPhoto]:
    """Tags from common to rare in several sets; some products have many photos."""
    draw = random.Random(7)
    photos: list[LabelledPhoto] = []
    for number in range(products):
        tags = [f"tag{rank}" for rank in range(8) if draw.random() < 0.5**rank]
        source, set_name = draw.choice(["catalogue", "user"]), draw.choice("abcd")
        photos += [
            _photo(f"{number}-{shot}.jpg", f"p{number}", tags, source=source, set_name=set_name)
            for shot in range(draw.choice([1, 1, 1, 2, 5]))
        ]
    return photos


PHOTOS = _marketplace(2000)


@pytest.mark.parametrize("seed", [0, 1, 21_000])
def test_every_part_has_its_share_of_all_products_of_every_tag_set_and_source(seed: int) -> None:
    products: defaultdict[str, dict[str, Part]] = defaultdict(dict)
    for photo, part in zip(PHOTOS, split(PHOTOS, seed), strict=True):
        for what in ("all", photo.set_name, photo.source, *photo.tags):
            products[what][photo.product] = part
    for its_parts in products.values():
        if len(its_parts) < 20:
            continue
        counted = Counter(its_parts.values())
        for part, share in SHARES.items():
            assert abs(counted[part] - share * len(its_parts)) <= max(2, 0.02 * len(its_parts))


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sets(st.sampled_from("xyz")), st.integers(0, 5)),
        max_size=40,
    ),
    st.integers(0, 3),
)
def test_neither_a_product_nor_a_group_is_ever_on_two_sides(
    rows: list[tuple[int, set[str], int]], seed: int
) -> None:
    photos = [
        _photo(f"{n}", f"p{product}", sorted(tags)) for n, (product, tags, _) in enumerate(rows)
    ]
    groups = {f"{n}": f"g{group}" for n, (_, _, group) in enumerate(rows) if group < 3}
    sides: defaultdict[str, set[Part]] = defaultdict(set)
    for photo, part in zip(photos, split(photos, seed, groups), strict=True):
        sides[photo.product].add(part)
        sides[groups.get(photo.photo, "alone " + photo.product)].add(part)
    assert all(len(parts) == 1 for parts in sides.values())


def test_products_joined_over_a_third_one_stay_together() -> None:
    photos = [_photo(f"{n}.jpg", f"p{n}") for n in range(60)]
    # 0 is like 1, and another photo of 1 is like 2.
    photos += [_photo("again.jpg", "p1")]
    groups = {"0.jpg": "g", "1.jpg": "g", "again.jpg": "h", "2.jpg": "h"}
    for seed in range(20):
        parts = split(photos, seed, groups)
        assert parts[0] == parts[1] == parts[2] == parts[-1]


def test_neither_the_order_of_photos_nor_the_names_of_groups_change_the_split() -> None:
    groups = {photo.photo: f"g{number % 7}" for number, photo in enumerate(PHOTOS[:40])}
    renamed = {photo: name.replace("g", "another") for photo, name in groups.items()}
    parts = _by_name(PHOTOS, split(PHOTOS, 3, groups))
    shuffled = random.Random(1).sample(PHOTOS, len(PHOTOS))
    assert _by_name(shuffled, split(shuffled, 3, renamed)) == parts
    assert _by_name(PHOTOS, split(PHOTOS, 4, groups)) != parts


def test_small_strata_do_not_all_end_in_train() -> None:
    photos = [_photo(f"{n}.jpg", f"p{n}", ["rare"], set_name=f"s{n}") for n in range(20)]
    assert Counter(split(photos, 0)) == {"train": 14, "validation": 3, "test": 3}


def test_nothing_is_split_into_nothing() -> None:
    assert split([], 0) == []
    assert image_split([], 0) == []


def test_the_papers_split_takes_its_shares_of_photos_and_leaks() -> None:
    parts = image_split(PHOTOS, 0)
    counted = Counter(parts)
    tests = round(0.15 * len(PHOTOS))
    assert counted == {
        "test": tests,
        "validation": round(0.10 * (len(PHOTOS) - tests)),
        "train": len(PHOTOS) - tests - round(0.10 * (len(PHOTOS) - tests)),
    }
    sides: defaultdict[str, set[Part]] = defaultdict(set)
    for photo, part in zip(PHOTOS, parts, strict=True):
        sides[photo.product].add(part)
    assert any(len(parts) == len(PARTS) for parts in sides.values())


def test_the_papers_split_depends_on_the_seed_and_not_on_the_order() -> None:
    shuffled = random.Random(1).sample(PHOTOS, len(PHOTOS))
    parts = _by_name(PHOTOS, image_split(PHOTOS, 0))
    assert _by_name(shuffled, image_split(shuffled, 0)) == parts
    assert _by_name(PHOTOS, image_split(PHOTOS, 1)) != parts


def _by_name(photos: Sequence[LabelledPhoto], parts: Sequence[Part]) -> dict[str, Part]:
    return {photo.photo: part for photo, part in zip(photos, parts, strict=True)}
