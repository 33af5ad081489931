"""Cleaning category paths, and which tags are frequent enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.vocabulary import (
    clean_segment,
    minimum_share,
    needed_products,
    paper_tokens,
    segments_of,
)


@pytest.mark.parametrize(
    ("segment", "tag"),
    [
        ("Camera & Photo", "camera & photo"),
        ("Camera &amp; Photo", "camera & photo"),
        ("<span class='a-text'>Camera</span>\n  & Photo ", "camera & photo"),
        ("Computers&Accessories", "computers & accessories"),
        ("NetworkingDevices", "networking devices"),
        ("WirelessUSBAdapters", "wireless usb adapters"),
        ("USBCables", "usb cables"),
        ("HomeTheater,TV&Video", "home theater, tv & video"),
        ("Keyboards,Mice&InputDevices", "keyboards, mice & input devices"),
        ("In-Ear", "in-ear"),
        ("iPhone", "iphone"),
        ("DVDs", "dvds"),
        ("AT&T", "at&t"),
        ("MacBook Sleeves", "macbook sleeves"),
        ("Bags, Cases & Sleeves", "bags, cases & sleeves"),
        ("under 5 < 10", "under 5 < 10"),
        ("Kabel\x00\u200b", "kabel"),
        ("  ", ""),
    ],
)
def test_a_segment_becomes_plain_lower_case_words(segment: str, tag: str) -> None:
    assert clean_segment(segment) == tag


@given(st.text())
def test_a_clean_tag_is_lower_case_with_single_spaces(segment: str) -> None:
    tag = clean_segment(segment)
    assert tag == tag.lower()
    assert tag == " ".join(tag.split())


def test_the_stop_tag_and_repetitions_are_left_out_and_order_is_kept() -> None:
    paths = [["Electronics", "Headphones"], ["Electronics", "Audio", "headphones", " "]]
    assert segments_of(paths) == ["headphones", "audio"]


def test_a_share_is_of_distinct_products() -> None:
    products = {
        "1": ["cables", "cables", "cables"],
        "2": ["mice"],
        "3": ["mice"],
        "4": [],
    }
    assert minimum_share(products, 0.5) == ["mice"]
    assert minimum_share(products, 0.25) == ["cables", "mice"]


def test_a_tag_that_just_reaches_the_share_is_kept() -> None:
    products = {str(i): ["rare"] if i < 7 else ["common"] for i in range(100)}
    assert minimum_share(products, 0.07) == ["common", "rare"]


def test_the_needed_number_of_products_is_no_rounding_accident() -> None:
    assert needed_products(100, 0.07) == 7
    assert needed_products(10, 0.25) == 2.5


@pytest.mark.parametrize(
    ("category", "tokens"),
    [
        (["Electronics", "Bags, Cases & Sleeves"], ["electronics", "bags", "cases & sleeves"]),
        (["Women's", "Women's"], ['"womens"']),
        ([["A", "B"], ["A", "C"]], ["a", "b", "c"]),
        (["Camera &amp; Photo"], ["camera &amp; photo"]),
        ("['A', 'B']", ["a", "b"]),
        ([], []),
    ],
)
def test_the_papers_tokens_are_those_of_the_printed_list(
    category: object, tokens: list[str]
) -> None:
    assert paper_tokens(category) == tokens
