"""Category values, however they are published, become clean paths, and their dirt is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.dataset.categories import read_categories

CASES: list[tuple[object, list[list[str]], set[str]]] = [
    (["Electronics", "Mice"], [["electronics", "mice"]], set()),
    ([["A", "B"], ["A", "C"]], [["a", "b"], ["a", "c"]], set()),
    ([["A", "B"], ["A", "B"]], [["a", "b"]], set()),
    (["A", "B", "A", "C"], [["a", "b"], ["a", "c"]], {"joined_paths"}),
    ([["A", "B", "A"]], [["a", "b", "a"]], set()),
    (["Gift Cards", "Gift Cards"], [["gift cards"]], {"repeated_segment"}),
    (["A", "</span></span>"], [["a"]], {"html_in_category"}),
    (["</span>"], [], {"html_in_category", "empty_category"}),
    (["Camera &amp; Photo"], [["camera & photo"]], {"html_entity_in_category"}),
    (["AT&T"], [["at&t"]], set()),
    (["Bags, Cases & Sleeves"], [["bags, cases & sleeves"]], set()),
    ("['A', \"B's\"]", [["a", "b's"]], {"stringified_category"}),
    ('["A", "B"]', [["a", "b"]], {"stringified_category"}),
    ("[]", [], {"stringified_category", "empty_category"}),
    ("['A', ", [], {"unreadable_category", "empty_category"}),
    ("A > B|A > C", [["a", "b"], ["a", "c"]], {"category_as_text"}),
    (None, [], {"empty_category"}),
    ([], [], {"empty_category"}),
    ([[]], [], {"empty_category"}),
    ("", [], {"empty_category"}),
    (7, [], {"unreadable_category"}),
    ({"a": 1}, [], {"unreadable_category"}),
    (["A", None, 3], [["a"]], {"wrong_type_in_category"}),
    ([["A"], "B"], [["a"]], {"wrong_type_in_category"}),
    (["A", "b" * 201], [["a"]], {"segment_too_long"}),
]


@pytest.mark.parametrize(("value", "paths", "dirt"), CASES)
def test_a_value_becomes_paths_and_names_its_dirt(
    value: object, paths: list[list[str]], dirt: set[str]
) -> None:
    read = read_categories(json.dumps(value))
    assert read.paths == paths
    assert read.dirt == dirt


_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_VALUES)
def test_no_value_breaks_the_reading(value: object) -> None:
    read = read_categories(json.dumps(value))
    assert all(segment.strip() for path in read.paths for segment in path)


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    read_categories(text)
    read_categories(json.dumps(text))
