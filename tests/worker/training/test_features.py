"""What a body saw is made once, kept, and made anew for other photos or another body."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")

import keras
from keras import layers

from worker.training.features import make_features

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), np.uint8)


def _looked(folder: Path, looks: list[int], *, views: int = 1, fingerprint: str = "a") -> Any:
    pixels = keras.Input((16, 16, 3))
    body = keras.Model(pixels, layers.GlobalAveragePooling2D()(pixels))
    found: NDArray[np.float16] = make_features(
        PIXELS,
        body,
        folder,
        views=views,
        seed=0,
        fingerprint=fingerprint,
        on_progress=lambda done, _: looks.append(done),
    )
    return found


def test_the_first_look_is_at_the_photos_as_they_are_and_the_others_at_views(
    tmp_path: Path,
) -> None:
    features = _looked(tmp_path, [])
    assert features.shape == (2, 20, 3)
    assert np.allclose(features[0], PIXELS.mean(axis=(1, 2)), atol=0.1)
    assert not np.allclose(features[1], features[0], atol=1)


def test_what_was_seen_is_not_looked_at_again(tmp_path: Path) -> None:
    first, looks = np.array(_looked(tmp_path, [])), list[int]()
    assert np.array_equal(_looked(tmp_path, looks), first)
    assert looks == [2]


def test_a_look_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    first, looks = np.array(_looked(tmp_path, [])), list[int]()
    (done,) = tmp_path.glob("features-*/done.json")
    done.write_text("1")
    assert np.array_equal(_looked(tmp_path, looks), first)
    assert looks == [1, 2]


def test_another_body_or_data_set_is_looked_at_anew(tmp_path: Path) -> None:
    _looked(tmp_path, [])
    looks: list[int] = []
    _looked(tmp_path, looks, fingerprint="b")
    assert looks == [0, 1, 2]
