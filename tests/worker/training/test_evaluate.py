"""The measures, on examples small enough to count by hand."""

import numpy as np
import pytest

from worker.training.evaluate import macro, measure, measure_tags, report

TAGS = ("cables", "hubs", "mice")
TRUTH = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]], bool)
SCORES = np.array([[0.9, 0.1, 0], [0.8, 0.3, 0], [0.7, 0.2, 0], [0.1, 0.6, 0]], np.float32)


def test_photos_are_measured_beside_the_model_that_never_answers() -> None:
    assert measure(SCORES, TRUTH, 0.5) == {
        "photos": 4,
        "hamming": round((1 + 1 / 2 + 0 + 1) / 4, 4),
        "hamming_tagged": round((1 + 1 / 2 + 1) / 3, 4),
        "exact_match": 0.5,
        "hamming_always_empty": 0.25,
        "exact_match_always_empty": 0.25,
    }


def test_photos_without_any_tag_have_no_score_for_tagged_photos() -> None:
    assert "hamming_tagged" not in measure(SCORES[2:3], TRUTH[2:3], 0.5)


def test_each_tag_that_occurs_is_measured() -> None:
    tags = measure_tags(SCORES, TRUTH, 0.5, TAGS)
    assert list(tags) == ["cables", "hubs"]
    assert tags["cables"] == {
        "photos": 2,
        "precision": pytest.approx(2 / 3, abs=1e-4),
        "recall": 1,
        "f1": 0.8,
        "average_precision": 1,
    }
    assert tags["hubs"]["recall"] == 0.5
    assert tags["hubs"]["precision"] == 1
    assert macro(tags)["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2, abs=1e-4)


def test_average_precision_steps_through_the_ranking() -> None:
    scores = np.array([[0.9], [0.8], [0.7], [0.6]], np.float32)
    truth = np.array([[1], [0], [1], [0]], bool)
    found = measure_tags(scores, truth, 0.5, ["a"])["a"]["average_precision"]
    assert found == pytest.approx((1 / 1 + 2 / 3) / 2, abs=1e-4)


def test_equal_scores_are_not_ranked_by_luck() -> None:
    scores = np.full((4, 1), 0.5, np.float32)
    for truth in ([1, 0, 0, 0], [0, 0, 0, 1]):
        found = measure_tags(scores, np.array(truth, bool)[:, None], 0.5, ["a"])
        assert found["a"]["average_precision"] == 0.25


def test_a_tag_that_is_never_predicted_has_no_precision() -> None:
    found = measure_tags(SCORES, TRUTH, 0.95, TAGS)["cables"]
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


def test_the_report_has_every_source_and_set() -> None:
    found = report(
        SCORES,
        TRUTH,
        0.5,
        TAGS,
        sources=["catalogue", "user", "catalogue", "user"],
        sets=["one", "one", "two", "two"],
    )
    assert found["by_source"]["user"]["hamming"] == 0.75
    assert found["by_set"]["two"]["photos"] == 2
    assert found["by_tag"]["hubs"]["photos"] == 2
