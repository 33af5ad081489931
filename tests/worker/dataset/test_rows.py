"""A row says what is wrong with it, and half a million rows share their words."""

import json

import pytest

from tests.worker.training.shapes import row
from worker.dataset.rows import BadRow, Rejections, parse_row


def test_a_row_has_the_fields_of_the_labels() -> None:
    photo = parse_row(json.dumps(row("photos/a.jpg", product="p7")).encode())
    assert (photo.photo, photo.product, photo.set_name) == ("photos/a.jpg", "p7", "drawn")
    assert photo.tags == ["shapes", "circles"]


def test_equal_words_of_two_rows_are_one_object() -> None:
    line = json.dumps(row("a.jpg", product="one product of many words")).encode()
    assert parse_row(line).product is parse_row(line).product


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"tags": "['circles']"}, "bad_row", "tags: "),
        ({"product": ""}, "bad_row", "product: "),
        ({"photo": "../a.jpg"}, "bad_path", "not below"),
        ({"photo": "a\0.jpg"}, "bad_path", "not below"),
        ({"note": "x" * (1 << 21)}, "line_too_long", "bytes"),
    ],
)
def test_a_bad_row_names_its_kind_and_its_field(
    changes: dict[str, str], kind: str, words: str
) -> None:
    with pytest.raises(BadRow, match=words) as caught:
        parse_row(json.dumps(row("a.jpg") | changes).encode())
    assert caught.value.kind == kind


def test_rejections_count_every_row_and_quote_the_first_of_each_kind() -> None:
    rejections = Rejections()
    rejections.note(BadRow("bad_row", "one"), "line 1")
    rejections.note(BadRow("bad_row", "two"), "line 2")
    rejections.note_many("not_found", 7, "not downloaded: not_found: 7 photos")
    assert rejections.counts == {"bad_row": 2, "not_found": 7}
    assert rejections.complaints == [
        "line 1: bad_row: one",
        "not downloaded: not_found: 7 photos",
    ]
