"""Leaks are found, and nearest neighbours are nearest."""

import numpy as np
import pytest

from worker.judging.leak import agreement, neighbours, seen_in_training


def test_a_test_photo_leaks_whose_key_is_in_training() -> None:
    parts = ["train", "test", "test", "validation", "test", "train", "test"]
    keys = ["a", "a", "b", "b", None, None, "a"]
    assert seen_in_training(parts, keys).tolist() == [True, False, False, True]


@pytest.mark.parametrize("k", [1, 3])
def test_neighbours_are_the_nearest_in_order(k: int) -> None:
    random = np.random.default_rng(0)
    reference = random.random((700, 8), np.float32)
    queries = random.random((600, 8), np.float32)
    distances = np.linalg.norm(queries[:, None] - reference[None], axis=2)
    expected = np.sort(distances, axis=1)[:, :k]
    found = neighbours(reference, queries, k)
    assert np.take_along_axis(distances, found, axis=1) == pytest.approx(expected, abs=1e-4)


def test_a_photo_is_its_own_neighbour() -> None:
    photos = np.random.default_rng(0).random((50, 4), np.float32)
    assert neighbours(photos, photos, 1)[:, 0].tolist() == list(range(50))


def test_agreement_tells_tagged_photos_apart() -> None:
    truth = np.array([[1, 1], [1, 0], [0, 0], [0, 0]], np.bool_)
    predicted = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], np.bool_)
    found = agreement(predicted, truth)
    assert (found.photos, found.hamming, found.hamming_nonempty) == (4, 0.625, 0.75)
    assert (found.exact_match, found.empty) == (0.5, 0.5)


def test_no_photo_agrees_with_nothing() -> None:
    nothing = np.zeros((0, 2), np.bool_)
    found = agreement(nothing, nothing)
    assert (found.photos, found.hamming, found.exact_match, found.empty) == (0, None, None, None)
