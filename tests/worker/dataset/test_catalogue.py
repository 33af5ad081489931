"""Related tags and parents out of category paths."""

import json
from typing import Any

import pytest

from shared.domain.related import RelatedTags
from tests.worker.training.shapes import row
from worker.dataset.catalogue import parents_of, related_of
from worker.dataset.labelled import LabelledPhoto, parse_row


def _photo(product: str, tags: list[str], *paths: list[str]) -> LabelledPhoto:
    entries: dict[str, Any] = {"product": product, "tags": tags, "paths": list(paths)}
    return parse_row(json.dumps(row(f"{product}.jpg") | entries).encode())


def test_columns_are_labelled_tags_and_path_segments_without_the_stop_tag() -> None:
    names, matrix = related_of([_photo("1", ["bags"], ["Electronics", "Bags & Sleeves"])])
    assert names == ["bags", "bags & sleeves"]
    assert matrix.tolist() == [[1, 1], [1, 1]]


def test_a_product_counts_once_however_many_photos_it_has() -> None:
    often = [_photo("1", [], ["Cables", "Hubs"])] * 5
    names, matrix = related_of([*often, _photo("2", [], ["Cables"])])
    related = RelatedTags(names, matrix)
    assert related.recommend(["hubs"]) == [("cables", pytest.approx(0.5**0.5))]


def test_tags_below_the_share_are_left_out() -> None:
    photos = [_photo(str(number), [], ["Cables"]) for number in range(9)]
    names, _ = related_of([*photos, _photo("rare", [], ["Hubs"])], share=0.2)
    assert names == ["cables"]


def test_the_parent_is_the_nearest_tag_above() -> None:
    path = ["Electronics", "Computers", "Something Else", "Bags, Cases & Sleeves", "Bags"]
    photos = [_photo("1", [], path)]
    tags = ["bags", "cases & sleeves", "computers"]
    assert parents_of(photos, tags)["cases & sleeves"] == "computers"
    assert parents_of(photos, tags)["bags"] in {"computers", "cases & sleeves"}


def test_most_products_decide_and_no_tag_becomes_its_own_ancestor() -> None:
    photos = [
        _photo("1", [], ["A", "B"]),
        _photo("2", [], ["A", "B"]),
        _photo("3", [], ["B", "A"]),
        _photo("4", [], ["C", "B"]),
    ]
    assert parents_of(photos, ["a", "b", "c"]) == {"b": "a"}


def test_a_path_counts_once_a_product() -> None:
    photos = [_photo("1", [], ["A", "C"])] * 3 + [
        _photo("2", [], ["B", "C"]),
        _photo("3", [], ["B", "C"]),
    ]
    assert parents_of(photos, ["a", "b", "c"]) == {"c": "b"}


def test_a_pair_on_fewer_products_than_the_support_is_no_pair() -> None:
    photos = [_photo("1", [], ["Cables", "Hubs"]), _photo("2", [], ["Cables", "Hubs"])]
    _, seen = related_of(photos, minimum_support=2)
    _, unseen = related_of(photos, minimum_support=3)
    assert seen.tolist() == [[1, 1], [1, 1]]
    assert not unseen.any()


def test_another_measure_may_be_taken() -> None:
    photos = [_photo("1", [], ["Cables", "Hubs"]), _photo("2", [], ["Cables"])]
    _, overlap = related_of(photos, measure="overlap")
    assert overlap.tolist() == [[1, 1], [1, 1]]
