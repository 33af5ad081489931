"""The worst mistakes come first, one a product, with what went wrong."""

import numpy as np

from worker.judging.mistakes import worst_mistakes

TAGS = ("cables", "hubs")
THRESHOLDS = np.array([0.5, 0.5], np.float32)


def test_the_surest_errors_come_first_and_right_photos_never() -> None:
    scores = np.array([[0.6, 0.1], [0.9, 0.99], [0.9, 0.1]], np.float32)
    truth = np.array([[0, 0], [1, 0], [1, 0]], bool)
    found = worst_mistakes(scores, truth, THRESHOLDS, TAGS, list("abc"), limit=10)
    assert [mistake.row for mistake in found] == [1, 0]
    assert found[0].wrong == (("hubs", 0.99),)
    assert found[0].right == (("cables", 0.9),)
    assert found[0].missed == ()
    assert found[0].loss == 4.605  # -ln 0.01


def test_a_missed_tag_is_a_mistake() -> None:
    scores, truth = np.array([[0.05, 0.3]], np.float32), np.array([[True, True]])
    found = worst_mistakes(scores, truth, THRESHOLDS, TAGS, ["a"], limit=10)
    assert found[0].missed == (("hubs", 0.3), ("cables", 0.05))


def test_of_a_product_only_the_worst_photo_comes() -> None:
    scores = np.array([[0.7, 0], [0.9, 0], [0.8, 0]], np.float32)
    found = worst_mistakes(
        scores, np.zeros((3, 2), bool), THRESHOLDS, TAGS, ["a", "a", "b"], limit=10
    )
    assert [mistake.row for mistake in found] == [1, 2]


def test_no_more_come_than_are_wanted() -> None:
    scores = np.full((5, 2), 0.9, np.float32)
    truth = np.zeros((5, 2), bool)
    assert len(worst_mistakes(scores, truth, THRESHOLDS, TAGS, list("abcde"), limit=2)) == 2


def test_certainty_and_photos_without_scores_do_no_harm() -> None:
    scores = np.array([[1, 0], [np.nan, np.nan]], np.float32)
    truth = np.array([[0, 1], [1, 1]], bool)
    found = worst_mistakes(scores, truth, THRESHOLDS, TAGS, ["a", "b"], limit=10)
    assert [mistake.row for mistake in found] == [0]
    assert np.isfinite(found[0].loss)
