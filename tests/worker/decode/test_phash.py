"""Copies of a photo have nearly the same hash, other photos another, blank ones none."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from worker.decode.phash import SIDE, phash
from worker.decode.pixels import to_pixels


def _picture(seed: int) -> NDArray[np.uint8]:
    """Soft shapes, [240, 320, 3]."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC), np.uint8)


def _hash(picture: NDArray[np.uint8], quality: int = 90) -> int | None:
    _, body = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    pixels = to_pixels(
        body.tobytes(), width=SIDE, height=SIDE, max_photo_pixels=10**6, min_photo_elements=0
    )
    return phash(pixels)


def _distance(one: int | None, other: int | None) -> int:
    assert one is not None
    assert other is not None
    return (one ^ other).bit_count()


@pytest.mark.parametrize("seed", range(5))
def test_size_quality_and_light_change_few_bits(seed: int) -> None:
    picture = _picture(seed)
    original = _hash(picture)
    half = np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    darker = (picture * 0.8 + 10).astype(np.uint8)
    for copy in (_hash(picture, quality=50), _hash(half.astype(np.uint8)), _hash(darker)):
        assert _distance(original, copy) <= 4


def test_other_pictures_differ_in_many_bits() -> None:
    hashes = [_hash(_picture(seed)) for seed in range(12)]
    distances = [_distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distances) > 12


def test_half_of_the_64_bits_are_set() -> None:
    hashed = _hash(_picture(0))
    assert hashed is not None
    assert hashed.bit_count() == 32
    assert hashed < 2**64


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_that_is_all_but_blank_has_no_hash(level: int) -> None:
    assert phash(np.full((SIDE, SIDE, 3), level, np.uint8)) is None
    noise = np.random.default_rng(0).integers(-3, 4, (240, 320, 3))
    assert _hash(np.clip(level + noise, 0, 255).astype(np.uint8)) is None
