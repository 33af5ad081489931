"""The measures, on examples small enough to count by hand."""

import numpy as np
import pytest

from tests.worker.judging.drafts import SCORES, TAGS, TRUTH, judged
from worker.judging.measures import measure, measure_tags


def test_photos_are_measured_with_and_without_those_that_carry_no_tag() -> None:
    found = measure(judged(SCORES, TRUTH))
    assert found["photos"] == 4
    assert found["photos_nonempty"] == 3
    assert found["hamming"] == (1 + 1 / 2 + 0 + 1) / 4
    assert found["hamming_nonempty"] == pytest.approx((1 + 1 / 2 + 1) / 3, abs=1e-6)
    assert found["exact_match"] == 0.5
    assert found["exact_match_nonempty"] == pytest.approx(2 / 3, abs=1e-6)


def test_macro_f1_is_over_the_tags_that_occur_and_micro_f1_over_all_decisions() -> None:
    found = measure(judged(SCORES, TRUTH))
    assert found["macro_f1_tags"] == 2
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2, abs=1e-6)
    assert found["micro_f1"] == pytest.approx(2 * 3 / (4 + 4), abs=1e-6)


def test_map_is_over_the_tags_that_four_photos_carry() -> None:
    scores = np.array([[0.9], [0.8], [0.7], [0.6], [0.5]], np.float32)
    truth = np.array([[1], [1], [0], [1], [1]], bool)
    one = measure(judged(scores, truth))
    assert (one["map"], one["map_tags"]) == (pytest.approx((1 + 1 + 3 / 4 + 4 / 5) / 4), 1)
    rare = np.array([[1], [0], [0], [1], [1]], bool)
    both = measure(judged(np.hstack([scores, scores]), np.hstack([truth, rare])))
    assert (both["map"], both["map_tags"]) == (one["map"], 1)


def test_the_f1_of_a_single_tag_is_that_of_the_tag_and_not_of_its_absence() -> None:
    scores, truth = SCORES[:, :1], TRUTH[:, :1]
    found = measure(judged(scores, truth))
    assert found["macro_f1"] == found["micro_f1"] == pytest.approx(0.8)


def test_what_cannot_be_measured_is_none() -> None:
    found = measure(judged(SCORES[2:3], TRUTH[2:3]))
    for name in ("hamming_nonempty", "exact_match_nonempty", "map", "macro_f1", "micro_f1"):
        assert found[name] is None
    assert found["hamming"] == 0


def test_photos_of_one_product_are_one_product() -> None:
    found = measure(judged(SCORES, TRUTH, np.array([5, 5, 7, 5])))
    assert found["products"] == 2


def test_each_tag_has_its_measures_and_its_threshold() -> None:
    tags = measure_tags(judged(SCORES, TRUTH), TAGS, np.full(3, 0.5, np.float32))
    assert list(tags) == list(TAGS)
    assert tags["cables"] == {
        "photos": 2,
        "answers": 3,
        "threshold": 0.5,
        "precision": pytest.approx(2 / 3, abs=1e-6),
        "recall": 1,
        "f1": 0.8,
        "average_precision": 1,
    }
    assert tags["mice"] == {
        "photos": 0,
        "answers": 0,
        "threshold": 0.5,
        "precision": None,
        "recall": None,
        "f1": None,
        "average_precision": None,
    }


def test_a_tag_that_is_never_given_has_no_precision_and_an_f1_of_nothing() -> None:
    scores = np.full((4, 1), 0.1, np.float32)
    found = measure_tags(judged(scores, TRUTH[:, :1]), ["cables"], np.array([0.5], np.float32))
    assert found["cables"]["precision"] is None
    assert found["cables"]["f1"] == 0
    # Equal scores are one step: the average precision is the share of photos with the tag.
    assert found["cables"]["average_precision"] == 0.5
