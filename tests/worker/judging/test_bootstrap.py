"""Intervals: the same measures, on products drawn again and again."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from tests.worker.judging.drafts import drawn, judged
from worker.judging.bootstrap import Sampled, intervals
from worker.judging.measures import measure

MEASURES = ("hamming", "hamming_nonempty", "exact_match", "exact_match_nonempty", "map", "macro_f1")


@given(seed=st.integers(0, 10_000), photos=st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_every_photo_once_gives_the_measures_themselves(seed: int, photos: int) -> None:
    scores, truth, _ = drawn(seed, photos, 4)
    sample = judged(scores, truth)
    resampled = Sampled.of(sample).measures(np.ones((photos, 1), np.float32))
    plain = measure(sample)
    for name in MEASURES:
        expected = np.nan if plain[name] is None else plain[name]
        assert resampled[name][0] == pytest.approx(expected, abs=1e-6, nan_ok=True)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_weighted_photo_counts_as_so_many_photos(seed: int) -> None:
    scores, truth, weights = drawn(seed, 40, 3, products=4)
    sample = judged(scores, truth)
    resampled = Sampled.of(sample).measures(weights[:, None].astype(np.float32))
    repeated = np.repeat(np.arange(40), weights)
    plain = measure(judged(scores[repeated], truth[repeated]))
    for name in ("hamming", "hamming_nonempty", "exact_match", "exact_match_nonempty"):
        assert resampled[name][0] == pytest.approx(plain[name], abs=1e-6)
    ranked = np.flatnonzero(truth.sum(axis=0) >= 4)
    expected = [
        average_precision_score(truth[:, tag], scores[:, tag], sample_weight=weights)
        for tag in ranked
        if (weights * truth[:, tag]).sum()
    ]
    assert resampled["map"][0] == pytest.approx(np.mean(expected), abs=1e-6, nan_ok=True)


def test_intervals_hold_the_measure_and_narrow_with_more_photos() -> None:
    widths: list[float] = []
    for photos in (100, 10_000):
        scores, truth, products = drawn(0, photos, 3)
        sample = judged(scores, truth, products)
        found = intervals(sample, resamples=200, seed=0)
        plain = measure(sample)
        for name in MEASURES:
            bounds, value = found[name], plain[name]
            assert bounds is not None
            assert value is not None
            assert bounds[0] < value < bounds[1]
        low, high = found["hamming"] or (0, 0)
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.3)


def test_an_interval_is_as_wide_as_the_standard_error_says() -> None:
    truth = np.arange(1000)[:, None] % 2 == 0
    found = intervals(judged(np.ones((1000, 1), np.float32), truth), resamples=2000, seed=0)
    low, high = found["hamming"] or (0, 0)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 1000), rel=0.1)


def test_many_photos_of_few_products_are_little_evidence() -> None:
    scores, truth, _ = drawn(0, 40, 3)
    many = np.tile(scores, (50, 1)), np.tile(truth, (50, 1)), np.tile(np.arange(40), 50)
    few = intervals(judged(scores, truth), resamples=400, seed=0)
    assert intervals(judged(*many), resamples=400, seed=0)["hamming"] == pytest.approx(
        few["hamming"], abs=1e-6
    )


def test_the_seed_decides_the_draws() -> None:
    scores, truth, products = drawn(3, 300, 3)
    sample = judged(scores, truth, products)
    first = intervals(sample, resamples=300, seed=1)
    assert first == intervals(sample, resamples=300, seed=1)
    assert first != intervals(sample, resamples=300, seed=2)


def test_what_cannot_be_measured_has_no_interval() -> None:
    found = intervals(
        judged(np.zeros((5, 2), np.float32), np.zeros((5, 2), bool)), resamples=9, seed=0
    )
    assert found["hamming"] == [1, 1]
    assert found["hamming_nonempty"] is None
    assert found["map"] is None
    assert found["macro_f1"] is None
