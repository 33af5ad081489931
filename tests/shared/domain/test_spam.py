"""A seller's tag is doubted on evidence, and never for what photos merely do not show."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shared.domain import spam
from shared.domain.spam import Doubt, SpamJudge, features, reason
from tests.judge import JUDGE

_CAMERA, _CABLE, _BAG = range(3)

_SHOWS_CAMERA = np.array([[0.99, 0.01]], np.float32)
_SHOWS_NOTHING = np.array([[0.3, 0.3]], np.float32)


def _doubts(scores: np.ndarray[Any, Any], *sellers: str) -> list[Doubt]:
    return JUDGE.doubts(scores, scores >= 0.5, [sellers])[0]


def test_a_tag_that_contradicts_the_photos_is_doubted_with_what_speaks_against_it() -> None:
    (doubt,) = _doubts(_SHOWS_CAMERA, "Cable", "camera", "bag", "bargain")
    assert (doubt.tag, doubt.instead) == ("cable", "camera")
    assert doubt.score > 0.8
    assert doubt.share < 0.02
    assert doubt.instead_share > 0.9
    assert reason(doubt) == (
        "Of products whose photos look like these, 99 in 100 are filed under camera and "
        "1 in 100 under cable."
    )


def test_photos_that_show_nothing_are_no_evidence() -> None:
    doubting = replace(JUDGE, cutoff=1e-6)
    nothing = _SHOWS_NOTHING >= 0.5
    assert doubting.doubts(_SHOWS_NOTHING, nothing, [["cable", "camera", "bag"]]) == [[]]


def test_what_goes_with_the_photos_is_not_doubted_even_if_it_is_rare() -> None:
    rare = replace(JUDGE, biases=np.array([0, 0, -20], np.float32))
    assert rare.doubts(_SHOWS_CAMERA, _SHOWS_CAMERA >= 0.5, [["bag"]]) == [[]]


def test_what_a_shown_tag_implies_is_not_doubted() -> None:
    torn = np.array([[0.99, 0.6]], np.float32)
    unsure = replace(JUDGE, biases=np.array([0, -20, -1], np.float32))
    assert len(unsure.doubts(torn, np.array([[True, False]]), [["cable"]])[0]) == 1
    assert unsure.doubts(torn, np.array([[True, True]]), [["cable"]]) == [[]]


def test_a_name_is_doubted_once_however_often_and_however_it_is_spelled() -> None:
    (doubt,) = _doubts(_SHOWS_CAMERA, "  CABLE ", "cable\n", "cable.", "c\u200bable", "\uff43able")
    assert doubt.tag == "cable"


def test_what_is_judged_in_parts_is_judged_as_if_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [["cable"], ["bag"], [], ["camera", "cable"]]
    scores = np.array([[0.99, 0.01], [0.01, 0.99], [0.5, 0.5], [0.99, 0.01]], np.float32)
    whole = JUDGE.doubts(scores, scores >= 0.5, said)
    monkeypatch.setattr(spam, "_AT_ONCE", 1)
    assert JUDGE.doubts(scores, scores >= 0.5, said) == whole
    assert [len(its) for its in whole] == [1, 0, 0, 1]


def test_the_surest_doubt_comes_first() -> None:
    three = replace(JUDGE, apart=np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]], np.bool_), cutoff=0.01)
    found = three.doubts(_SHOWS_CAMERA, _SHOWS_CAMERA >= 0.5, [["bag", "cable"]])[0]
    assert [doubt.tag for doubt in found] == ["cable", "bag"]


def test_who_says_nothing_that_can_be_judged_is_not_doubted() -> None:
    assert JUDGE.doubts(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.bool_), []) == []
    assert _doubts(_SHOWS_CAMERA, "!", "bargain") == []


def test_scores_at_the_edges_and_unknown_ones_give_numbers() -> None:
    scores = np.array([[0.0, 1.0], [np.nan, 0.5]], np.float32)
    given = features(scores, np.array([[0, 1]], np.intp))
    assert np.isfinite(given).all()
    assert given[1].tolist() == [0, 0, 0], "undecided"
    assert np.isfinite(JUDGE.filed(scores)).all()


def test_it_comes_back_out_of_json_as_it_was() -> None:
    again = SpamJudge.from_json(json.loads(json.dumps(JUDGE.to_json())), tags=2)
    assert again.to_json() == JUDGE.to_json()
    assert again.doubts(_SHOWS_CAMERA, _SHOWS_CAMERA >= 0.5, [["cable"]]) == [
        _doubts(_SHOWS_CAMERA, "cable")
    ]


_SPOILT: list[tuple[dict[str, Any], str]] = [
    ({"names": ["camera", "cable", "camera"]}, "stands twice"),
    ({"names": ["Camera", "cable", "bag"]}, "lower case"),
    ({"names": ["camera", "cable"]}, "do not fit the weights"),
    ({"pairs": [[0, 2]]}, "outside the vocabulary"),
    ({"pairs": [[-1, 0]]}, "outside the vocabulary"),
    ({"pairs": [[0, 1]]}, "do not fit the weights"),
    ({"weights": [[1, 2, 3]] * 3}, "do not fit the weights"),
    ({"biases": [0, 0]}, "do not fit the weights"),
    ({"shares": [0.1]}, "do not fit the weights"),
    ({"apart": [[1], [], []]}, "not apart from it"),
    ({"apart": [[1], [0, 3], []]}, "what is not there"),
    ({"implied": [[2], [], []]}, "what is not there"),
    ({"implied": [[]]}, "1 rows for 3 names"),
    ({"cutoff": float("nan")}, "no finite number"),
    ({"calibration": [1.0, float("inf"), 0.0]}, "no finite number"),
]


@pytest.mark.parametrize(("changed", "why"), _SPOILT)
def test_parts_that_do_not_fit_are_refused(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        SpamJudge.from_json({**JUDGE.to_json(), **changed}, tags=2)
