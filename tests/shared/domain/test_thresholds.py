"""Which scores become tags, and how the one threshold is chosen."""

import numpy as np
import pytest

from shared.domain.scores import hamming_score
from shared.domain.thresholds import GRID, decide, fit_single


def _floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_tags_come_by_score_from_the_highest_down() -> None:
    assert decide(_floats(0.5, 0.1, 0.75), _floats(0.25, 0.25, 0.25)) == [(2, 0.75), (0, 0.5)]


def test_each_tag_has_its_own_threshold_and_reaching_it_is_enough() -> None:
    assert decide(_floats(0.5, 0.5, 0.5), _floats(0.5, 0.51, 0.1)) == [(0, 0.5), (2, 0.5)]


def test_a_score_that_is_not_a_number_is_no_tag() -> None:
    assert decide(_floats(float("nan"), 0.9), _floats(0.5, 0.5)) == [(1, pytest.approx(0.9))]


def test_scores_and_thresholds_must_be_of_the_same_tags() -> None:
    with pytest.raises(ValueError, match="scores for"):
        decide(_floats(0.5), _floats(0.5, 0.5))


def test_the_grid_is_the_papers() -> None:
    assert GRID[0] == pytest.approx(0.05)
    assert GRID[-1] == pytest.approx(0.95)
    assert np.diff(GRID) == pytest.approx(np.full(36, 0.025))


def test_the_fitted_threshold_parts_what_can_be_parted() -> None:
    scores = np.array([[0.62, 0.3], [0.64, 0.58], [0.1, 0.61]], np.float32)
    truth = np.array([[1, 0], [1, 0], [0, 1]], bool)
    threshold = fit_single(scores, truth)
    assert threshold == 0.6
    assert hamming_score(scores >= threshold, truth) == 1


def test_among_equally_good_thresholds_the_lowest_is_taken() -> None:
    assert fit_single(np.array([[0.9, 0.01]], np.float32), np.array([[True, False]])) == 0.05
