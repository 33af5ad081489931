"""Which scores become tags, and how thresholds are chosen: one for all, or one a tag."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.domain import wilson
from shared.domain.scores import hamming_score
from shared.domain.thresholds import (
    GRID,
    decide,
    fit_for_hamming,
    fit_per_tag,
    fit_single,
)


def _floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_tags_come_by_score_from_the_highest_down() -> None:
    assert decide(_floats(0.5, 0.1, 0.75)[None], _floats(0.25, 0.25, 0.25)) == [
        [(2, 0.75), (0, 0.5)]
    ]


def test_each_tag_has_its_own_threshold_and_reaching_it_is_enough() -> None:
    assert decide(_floats(0.5, 0.5, 0.5)[None], _floats(0.5, 0.51, 0.1)) == [[(0, 0.5), (2, 0.5)]]


def test_a_score_that_is_not_a_number_is_no_tag() -> None:
    assert decide(_floats(float("nan"), 0.9)[None], _floats(0.5, 0.5)) == [
        [(1, pytest.approx(0.9))]
    ]


def test_photos_are_decided_each_by_itself() -> None:
    scores = np.array([[0.9, 0.1, 0.8], [0.1, 0.1, 0.1], [0.2, 0.7, 0.7]], np.float32)
    decided = decide(scores, _floats(0.5, 0.5, 0.5))
    assert [[tag for tag, _ in its] for its in decided] == [[0, 2], [], [1, 2]]


def test_scores_and_thresholds_must_be_of_the_same_tags() -> None:
    with pytest.raises(ValueError, match="scores for"):
        decide(_floats(0.5)[None], _floats(0.5, 0.5))


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


def _photos(seed: int, photos: int, tags: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Scores that tell something of the truth, each tag on a scale of its own, with equal ones."""
    random = np.random.default_rng(seed)
    truth = random.random((photos, tags)) < random.uniform(0.05, 0.6, tags)
    scores = 0.4 * truth + 0.6 * random.random((photos, tags))
    return np.round(scores ** random.uniform(0.3, 4, tags), 2).astype(np.float32), truth


def _f1(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2 * (predicted & truth).sum() / (predicted.sum() + truth.sum()))


def _column(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)[:, None]


def test_each_tag_gets_the_threshold_with_its_best_f1() -> None:
    scores, truth = _photos(0, 200, 6)
    fitted = fit_per_tag(scores, truth)
    for tag, threshold in enumerate(fitted.values):
        best = max(_f1(scores[:, tag] >= cut, truth[:, tag]) for cut in np.arange(0.005, 1, 0.01))
        assert _f1(scores[:, tag] >= threshold, truth[:, tag]) == pytest.approx(best)


def test_a_threshold_lies_half_way_between_the_scores_it_parts() -> None:
    scores = _column([0.8] * 10 + [0.4] * 10)
    fitted = fit_per_tag(scores, _column([1] * 10 + [0] * 10) > 0)
    assert fitted.values.tolist() == [pytest.approx(0.6)]


def test_a_tag_with_few_positives_gets_the_common_threshold_and_is_named() -> None:
    scores, truth = _photos(1, 200, 3)
    truth[:, 1] = False
    truth[:9, 1] = True
    for fitted in (fit_per_tag(scores, truth), fit_for_hamming(scores, truth)):
        assert fitted.thin == (1,)
        assert fitted.common == fit_single(scores, truth)
        assert fitted.values[1] == np.float32(fitted.common)


def test_a_wanted_precision_is_kept_by_its_lower_bound_with_as_much_recall_as_that_leaves() -> None:
    scores = _column([0.9] * 100 + [0.6] * 40 + [0.3] * 100)
    truth = _column([1] * 100 + [1] * 36 + [0] * 104) > 0
    fitted = fit_per_tag(scores, truth, precision=0.93)
    assert fitted.values.tolist() == [pytest.approx(0.45)]
    assert fitted.unreachable == ()
    # 136 of 140 are right, which is 0.97, and still the bound is below 0.96.
    assert fit_per_tag(scores, truth, precision=0.96).values.tolist() == [pytest.approx(0.75)]


def test_a_tag_that_cannot_keep_the_precision_is_never_given_and_named() -> None:
    scores = _column([0.9] * 51 + [0.1] * 51)
    truth = _column([1] * 51 + [0] * 51) > 0
    fitted = fit_per_tag(scores, truth, precision=0.95)  # 51 right answers are one too few
    assert fitted.unreachable == (0,)
    assert fitted.values.tolist() == [1]


@pytest.mark.parametrize("precision", [0.0, -1.0, 1.01, float("nan")])
def test_a_precision_that_is_none_is_refused(precision: float) -> None:
    with pytest.raises(ValueError, match="no precision"):
        fit_per_tag(_column([0.5]), _column([1]) > 0, precision=precision)


def test_fitting_for_hamming_brings_together_tags_on_different_scales() -> None:
    random = np.random.default_rng(0)
    truth = random.random((400, 2)) < 0.5
    scores = np.where(truth, [0.95, 0.3], [0.6, 0.05]).astype(np.float32)
    fitted = fit_for_hamming(scores, truth)
    assert hamming_score(scores >= np.float32(fitted.common), truth) < 0.8
    assert hamming_score(scores >= fitted.values, truth) == 1


def test_a_tags_own_threshold_weighs_the_more_the_more_positives_it_has() -> None:
    distances: list[float] = []
    for photos in (40, 400, 4000):
        truth = np.arange(photos)[:, None] % [2, 4] == 0
        scores = np.where(truth, [0.5, 0.99], [0.1, 0.9]).astype(np.float32)
        fitted = fit_for_hamming(scores, truth)
        assert fitted.common > 0.9
        distances.append(float(fitted.values[0]) - 0.3)
    assert distances == sorted(distances, reverse=True)
    assert 0 < distances[-1] < 0.02
    assert distances[0] > 0.2


@given(seed=st.integers(0, 10_000), photos=st.integers(1, 60), tags=st.integers(1, 5))
@settings(deadline=None)
def test_fitting_for_hamming_is_never_worse_than_the_one_threshold(
    seed: int, photos: int, tags: int
) -> None:
    scores, truth = _photos(seed, photos, tags)
    fitted = fit_for_hamming(scores, truth, min_positives=0)
    single = hamming_score(scores >= np.float32(fitted.common), truth)
    assert hamming_score(scores >= fitted.values, truth) >= single


@given(seed=st.integers(0, 10_000), photos=st.integers(1, 60), tags=st.integers(1, 5))
@settings(deadline=None)
def test_thresholds_are_ones_that_a_manifest_takes_and_the_same_each_time(
    seed: int, photos: int, tags: int
) -> None:
    scores, truth = _photos(seed, photos, tags)
    # What saturated, or failed, or was never seen must do no harm.
    scores[::7], scores[1::7], scores[2::7] = 1, 0, np.nan
    choices: list[dict[str, Any]] = [{"precision": 0.5}, {"min_positives": 0}]
    for chosen in choices:
        fitted = fit_per_tag(scores, truth, **chosen)
        assert fitted.values.dtype == np.float32
        assert ((fitted.values > 0) & (fitted.values <= 1)).all()
        assert np.array_equal(fitted.values, fit_per_tag(scores, truth, **chosen).values)
    fitted = fit_for_hamming(scores, truth, min_positives=0)
    assert ((fitted.values > 0) & (fitted.values <= 1)).all()


@given(seed=st.integers(0, 10_000), precision=st.floats(0.05, 0.95))
@settings(deadline=None)
def test_a_kept_precision_is_kept_and_one_cut_lower_would_not_keep_it(
    seed: int, precision: float
) -> None:
    scores, truth = _photos(seed, 150, 1)
    fitted = fit_per_tag(scores, truth, precision=precision)
    cuts = np.append(np.unique(scores), 1)

    def kept(cut: float) -> bool:
        given = scores[:, 0] >= cut
        hits, answers = (given & truth[:, 0]).sum(), given.sum()
        return bool(
            wilson.lower_bound(np.array([float(hits)]), np.array([float(answers)]))[0] >= precision
        )

    lower = [cut for cut in cuts if 0 < cut < fitted.values[0]]
    if fitted.unreachable:
        assert not any(kept(cut) for cut in cuts if cut > 0)
    else:
        assert kept(fitted.values[0])
        assert not any(kept(cut) for cut in lower)
