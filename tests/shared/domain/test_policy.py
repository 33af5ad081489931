"""A restricted tag is found however it is spelled, and nothing else is."""

import pytest

from shared.domain.policy import Policy

_POLICY = Policy({"ivory", "café", "straße", "camera & photo", "हिन्दी", "$$$"})


@pytest.mark.parametrize(
    "tag",
    [
        "ivory",
        " IVORY\n",
        "\uff49\uff56\uff4f\uff52\uff59",
        "i\u200bvory",
        "ivo\u00adry",
        "ivor\u2060y",
        "ivory\ufe0f",
        "iv\x01ory",
        "#ivory",
        "ivory.",
        "«ivory»,",
    ],
)
def test_a_tag_is_restricted_however_it_is_spelled(tag: str) -> None:
    assert _POLICY.of_tag(tag) == "ivory"
    assert _POLICY.within(tag) == ["ivory"]


@pytest.mark.parametrize(
    ("tag", "name"),
    [("cafe\u0301", "café"), ("STRASSE", "straße"), ("Camera/Photo", "camera & photo")],
)
def test_so_are_marks_cases_and_what_stands_between_words(tag: str, name: str) -> None:
    assert _POLICY.of_tag(tag) == name


@pytest.mark.parametrize("tag", ["cafe", "ivor", "camera", "हिन्दा", "", "!", "$$$", "iv\u043ery"])
def test_another_word_is_not(tag: str) -> None:
    assert _POLICY.of_tag(tag) is None
    assert _POLICY.within(tag) == []


def test_whole_words_are_found_within_a_text() -> None:
    assert _POLICY.within("Photo, camera & photo: real ivory_tusk at the CAFÉ") == [
        "camera & photo",
        "ivory",
        "café",
    ]
    assert _POLICY.within("ivoryish semi\u00b2ivory") == []
