"""Calibration and the curve over one common threshold."""

import numpy as np
import pytest

from tests.worker.judging.drafts import SCORES, TRUTH
from worker.judging.curves import calibration, threshold_curve


def test_scores_that_are_shares_are_calibrated() -> None:
    random = np.random.default_rng(0)
    scores = random.random((20_000, 2)).astype(np.float32)
    found = calibration(scores, random.random((20_000, 2)) < scores)
    assert found["expected_calibration_error"] < 0.01
    assert len(found["bins"]) == 10
    assert sum(row["pairs"] for row in found["bins"]) == 40_000


def test_the_error_is_the_mean_distance_over_the_pairs() -> None:
    scores = np.array([[0.95], [0.95], [0.95], [0.25]], np.float32)
    truth = np.array([[1], [0], [0], [0]], bool)
    found = calibration(scores, truth)
    expected = (3 * (0.95 - 1 / 3) + 0.25) / 4
    assert found["expected_calibration_error"] == pytest.approx(expected, abs=1e-6)
    assert [(row["from"], row["pairs"]) for row in found["bins"]] == [(0.2, 1), (0.9, 3)]


def test_scores_of_nothing_and_of_certainty_have_their_bins() -> None:
    found = calibration(np.array([[0.0, 1.0]], np.float32), np.array([[False, True]]))
    assert [row["from"] for row in found["bins"]] == [0, 0.9]
    assert found["expected_calibration_error"] == 0


def test_the_curve_has_what_each_common_threshold_would_give() -> None:
    rows = {row["threshold"]: row for row in threshold_curve(SCORES, TRUTH)}
    assert len(rows) == 37
    assert rows[0.5] == {"threshold": 0.5, "hamming": 0.625, "exact_match": 0.5}
    assert rows[0.95] == {"threshold": 0.95, "hamming": 0.25, "exact_match": 0.25}
