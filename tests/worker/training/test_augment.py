"""Augmented photos are still photos, and the seed alone decides what becomes of them."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")

import tensorflow as tf

from worker.training.augment import augment


def _augmented(pixels: NDArray[np.uint8], step: int) -> NDArray[np.float32]:
    return np.asarray(augment(tf.constant(pixels), tf.constant([1, step])))


def _cut_out_on_white() -> NDArray[np.uint8]:
    pixels = np.full((64, 35, 35, 3), 255, np.uint8)
    pixels[:, 10:25, 10:25] = (200, 30, 30)
    return pixels


def test_pixels_stay_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 35, 35, 3), np.uint8)
    changed = _augmented(pixels, 0)
    assert changed.shape == pixels.shape
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_the_seed_alone_decides() -> None:
    pixels = _cut_out_on_white()
    assert np.array_equal(_augmented(pixels, 3), _augmented(pixels, 3))
    assert not np.array_equal(_augmented(pixels, 3), _augmented(pixels, 4))


def test_each_photo_of_a_batch_is_changed_in_its_own_way() -> None:
    changed = _augmented(_cut_out_on_white(), 0)
    assert len({photo.tobytes() for photo in changed}) == len(changed)


def test_the_thing_stays_in_the_picture() -> None:
    changed = _augmented(_cut_out_on_white(), 0)
    middle = changed[:, 14:21, 14:21].mean(axis=(1, 2))
    assert (middle[:, 0] > middle[:, 1] + 10).all()  # still the red one


def test_some_white_backgrounds_and_no_others_are_repainted() -> None:
    corners = _augmented(_cut_out_on_white(), 0)[:, 0, 0]
    repainted = (corners.max(axis=1) - corners.min(axis=1)) > 45
    assert 0.1 < repainted.mean() < 0.7
