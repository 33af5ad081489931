"""Hamming score, exact match ratio and the fusion of a listing's photos."""

import numpy as np
import pytest

from shared.domain.scores import exact_match_ratio, fuse, hamming_score, photo_hamming_scores


def test_hamming_score_is_the_mean_of_intersection_over_union() -> None:
    truth = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    predicted = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
    assert hamming_score(predicted, truth) == pytest.approx((1 / 2 + 0 + 1) / 3)


def test_each_photo_has_its_own_share_in_the_hamming_score() -> None:
    truth = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    predicted = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
    assert photo_hamming_scores(predicted, truth).tolist() == [0.5, 0, 1]


def test_no_tags_predicted_for_a_photo_without_tags_is_right() -> None:
    nothing = np.zeros((2, 3), bool)
    assert hamming_score(nothing, nothing) == 1
    assert exact_match_ratio(nothing, nothing) == 1


def test_a_tag_on_a_photo_without_tags_scores_nothing() -> None:
    assert hamming_score(np.array([[True, False]]), np.array([[False, False]])) == 0


def test_exact_match_counts_whole_tag_sets() -> None:
    truth = np.array([[1, 1], [1, 0]], bool)
    predicted = np.array([[1, 1], [1, 1]], bool)
    assert exact_match_ratio(predicted, truth) == 0.5


@pytest.mark.parametrize("measure", [hamming_score, exact_match_ratio])
def test_measures_refuse_shapes_that_differ_and_no_photos(measure: type) -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        measure(np.zeros((2, 3), bool), np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match="cannot compare"):
        measure(np.zeros((0, 3), bool), np.zeros((0, 3), bool))


def test_one_odd_photo_brings_no_tag_into_a_listing() -> None:
    photos = np.array([[0.9, 0.1], [0.8, 0.1], [0.1, 0.9]], np.float32)
    fused = fuse(photos, [3])
    assert fused.dtype == np.float32
    assert fused[0] == pytest.approx([0.6, 0.3667], abs=1e-4)


def test_a_listing_of_one_photo_has_that_photos_scores() -> None:
    assert fuse(np.array([[0.25, 0.5]], np.float32), [1]).tolist() == [[0.25, 0.5]]


def test_a_tag_that_a_photos_model_did_not_know_is_decided_by_the_others() -> None:
    unknown = float("nan")
    fused = fuse(np.array([[0.25, unknown, unknown], [0.75, 0.5, unknown]], np.float32), [2])
    assert fused.tolist() == [[0.5, 0.5, 0.0]]


def test_listings_are_fused_each_over_its_own_photos() -> None:
    photos = np.array([[0.2], [0.4], [0.9], [0.1], [0.1], [0.4]], np.float32)
    assert fuse(photos, [2, 1, 3])[:, 0] == pytest.approx([0.3, 0.9, 0.2])
    assert fuse(np.zeros((0, 3), np.float32), []).shape == (0, 3)


@pytest.mark.parametrize("photos", [[0], [1], [3], [2, 0], [3, -1]])
def test_a_listing_has_a_photo_at_least_and_each_photo_a_listing(photos: list[int]) -> None:
    with pytest.raises(ValueError, match="scores for listings of"):
        fuse(np.zeros((2, 3), np.float32), photos)
