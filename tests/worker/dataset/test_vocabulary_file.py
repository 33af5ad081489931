"""A vocabulary file is checked whole before anything is done with it."""

import json
from pathlib import Path

import pytest

from shared.errors import DatasetError
from worker.dataset.vocabulary_file import read_vocabulary, write_vocabulary


def _read(folder: Path, content: object) -> object:
    file = folder / "tags.json"
    file.write_text(json.dumps(content))
    return read_vocabulary(file)


def test_a_list_is_a_vocabulary_without_aliases(tmp_path: Path) -> None:
    file = tmp_path / "tags.json"
    file.write_text('["mice", "keyboards"]')
    vocabulary = read_vocabulary(file)
    assert vocabulary.tags == ("mice", "keyboards")
    assert vocabulary.tags_of("mice") == ("mice",)


def test_tags_are_taken_in_lower_case_as_products_carry_them(tmp_path: Path) -> None:
    file = tmp_path / "tags.json"
    file.write_text('{"tags": ["Mouse"], "aliases": {"Mice": "MOUSE"}}')
    vocabulary = read_vocabulary(file)
    assert vocabulary.tags == ("mouse",)
    assert vocabulary.tags_of("mice") == ("mouse",)


def test_aliases_are_cleaned_like_segments(tmp_path: Path) -> None:
    file = tmp_path / "tags.json"
    file.write_text('{"tags": ["mouse", "toy"], "aliases": {"Mice &amp; Toys": ["mouse", "toy"]}}')
    assert read_vocabulary(file).tags_of("mice & toys") == ("mouse", "toy")


def test_what_was_written_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "vocabulary.json"
    write_vocabulary(file, {"b": 2, "a": 1}, 3, {"c": ("a", "b")})
    vocabulary = read_vocabulary(file)
    assert vocabulary.tags == ("a", "b")
    assert vocabulary.aliases == {"c": ("a", "b")}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([], "tags"),
        ({}, "tags: Field required"),
        (7, "neither a list of tags nor an object"),
        ([1], "tags.0"),
        ([""], "tags.0"),
        ({"tags": ["a"], "aliases": {"b": "c"}}, "'c', which is not among the tags"),
        ({"tags": ["a"], "aliases": {"b": 3}}, "aliases.b"),
        ({"tags": ["a"], "aliases": []}, "aliases"),
    ],
)
def test_a_wrong_vocabulary_is_one_clear_error(
    tmp_path: Path, content: object, complaint: str
) -> None:
    with pytest.raises(DatasetError, match=complaint):
        _read(tmp_path, content)


def test_a_missing_or_broken_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        read_vocabulary(tmp_path / "none")
    (tmp_path / "broken").write_text("[" * 100_000)
    with pytest.raises(DatasetError, match="is no JSON"):
        read_vocabulary(tmp_path / "broken")
