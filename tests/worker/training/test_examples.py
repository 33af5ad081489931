"""Rows come as an epoch draws them, in the order asked for."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from worker.training.examples import FeatureExamples, PhotoExamples, batches

PLACES = np.array([7, 3, 5, 1, 0])
TRUTH = np.eye(5, 3, dtype=np.float32)
#: Each photo's pixels are its number, each view's features its number and the photo's.
PIXELS = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None, None, None], (8, 4, 4, 3))
FEATURES = (np.arange(4)[:, None] * 100 + np.arange(8)[None])[:, :, None].astype(np.float16)
ALL = np.arange(5)


def _features(seed: int = 0) -> FeatureExamples:
    return FeatureExamples(FEATURES, TRUTH, PLACES, seed)


def test_photos_come_from_their_places_with_their_truth() -> None:
    examples = PhotoExamples(PIXELS, TRUTH, PLACES)
    pixels, truth = examples.rows(np.array([2, 0]), 9)
    assert pixels[:, 0, 0, 0].tolist() == [5, 7]
    assert truth.tolist() == TRUTH[[2, 0]].tolist()
    assert len(examples) == 5


def test_a_view_of_the_right_photo_is_drawn() -> None:
    features, truth = _features().rows(ALL, 0)
    assert (features[:, 0] % 100).tolist() == PLACES.tolist()
    assert np.array_equal(truth, TRUTH)


def test_epoch_and_seed_alone_decide_the_views() -> None:
    def views(seed: int, epoch: int) -> list[int]:
        return (_features(seed).rows(ALL, epoch)[0][:, 0] // 100).astype(int).tolist()

    assert views(0, 3) == views(0, 3)
    assert len({tuple(views(0, epoch)) for epoch in range(8)}) > 4
    assert views(0, 3) != views(1, 3)
    seen = {view for epoch in range(20) for view in views(0, epoch)}
    assert seen == {0, 1, 2, 3}


def test_the_view_of_a_photo_does_not_depend_on_its_batch_mates() -> None:
    whole, _ = _features().rows(ALL, 2)
    some, _ = _features().rows(np.array([4, 1]), 2)
    assert np.array_equal(some, whole[[4, 1]])


def test_batches_keep_the_order_and_the_last_is_short() -> None:
    order = np.array([4, 2, 0, 1, 3])
    examples = PhotoExamples(PIXELS, TRUTH, PLACES)
    found = [
        (np.asarray(pixels), np.asarray(truth)) for pixels, truth in batches(examples, order, 0, 2)
    ]
    assert [len(pixels) for pixels, _ in found] == [2, 2, 1]
    places = np.concatenate([pixels[:, 0, 0, 0] for pixels, _ in found])
    assert places.tolist() == PLACES[order].tolist()
    assert np.array_equal(np.concatenate([truth for _, truth in found]), TRUTH[order])
    assert found[0][0].dtype == np.uint8


def test_features_keep_their_type_in_batches() -> None:
    [(features, _)] = batches(_features(), ALL, 0, 8)
    assert np.asarray(features).dtype == np.float16
