"""Models that a tagger must not run, or must not believe."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false

from typing import Any

import numpy as np
import pytest

from shared.errors import ArtifactError
from tests.worker.model.litert import litert
from worker.model.tagger import Tagger

tf: Any = pytest.importorskip("tensorflow")


def _tagger(model: bytes, tags: int = 3) -> Tagger:
    return Tagger.of_model(model, height=8, width=8, tags=tags)


def _brightness(pixels: Any) -> Any:
    return tf.reduce_mean(pixels, [1, 2]) / 255


def test_an_honest_model_is_taken() -> None:
    pixels = np.full((1, 8, 8, 3), 51, np.uint8)
    assert _tagger(litert(_brightness)).scores(pixels)[0] == pytest.approx([0.2] * 3)


def test_only_the_photo_with_impossible_scores_has_nan() -> None:
    def explodes_on_bright_photos(pixels: Any) -> Any:
        return _brightness(pixels) * 1e38 * 1e38

    pixels = np.zeros((3, 8, 8, 3), np.uint8)
    pixels[1] = 200
    scores = _tagger(litert(explodes_on_bright_photos)).scores(pixels)
    assert scores[[0, 2]].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert np.isnan(scores[1]).all()


@pytest.mark.parametrize("factor", [-1.0, 2.0])
def test_a_score_outside_0_to_1_makes_the_photos_scores_nan(factor: float) -> None:
    tagger = _tagger(litert(lambda pixels: _brightness(pixels) * factor))
    assert np.isnan(tagger.scores(np.full((1, 8, 8, 3), 255, np.uint8))).all()


@pytest.mark.parametrize("offset", [-0.5, 1.5, float("nan"), float("inf")])
def test_a_model_that_has_no_scores_for_a_black_photo_is_refused(offset: float) -> None:
    with pytest.raises(ArtifactError, match="no scores within 0 and 1 for a black photo"):
        _tagger(litert(lambda pixels: _brightness(pixels) + offset))


def test_a_loop_is_refused() -> None:
    def loops(pixels: Any) -> Any:
        count = tf.cast(tf.reduce_max(pixels), tf.int32)
        return tf.while_loop(
            lambda i, _: i < count, lambda i, x: (i + 1, x * 1.01), (0, _brightness(pixels))
        )[1]

    with pytest.raises(ArtifactError, match=r"not allowed.*WHILE"):
        _tagger(litert(loops))


def test_a_model_that_asks_for_tensorflow_is_refused() -> None:
    with pytest.raises(ArtifactError):
        _tagger(litert(_brightness, flex=True))


def test_a_giant_made_of_a_small_file_is_refused() -> None:
    def swells(pixels: Any) -> Any:
        return tf.reduce_sum(tf.tile(_brightness(pixels), [1, 1 << 28]), 1, keepdims=True)

    with pytest.raises(ArtifactError, match=r"not allowed.*TILE"):
        _tagger(litert(swells))


def test_giant_tensors_of_allowed_operators_are_refused() -> None:
    kernel = tf.ones([1, 1, 3, 1 << 18])

    def swells(pixels: Any) -> Any:
        return tf.reduce_mean(tf.nn.conv2d(pixels, kernel, 1, "SAME"), [1, 2])[:, :3]

    with pytest.raises(ArtifactError, match="tensors would take"):
        _tagger(litert(swells))


def test_a_model_that_takes_floats_is_refused() -> None:
    with pytest.raises(ArtifactError, match="input is"):
        _tagger(litert(_brightness, dtype=tf.float32))


def test_a_model_with_one_score_for_the_whole_batch_is_refused() -> None:
    with pytest.raises(ArtifactError, match="gives scores of shape"):
        _tagger(litert(lambda pixels: tf.reduce_mean(_brightness(pixels), 0, keepdims=True)))


def test_a_model_with_two_outputs_is_refused() -> None:
    with pytest.raises(ArtifactError, match="output is"):
        _tagger(litert(lambda pixels: (_brightness(pixels), _brightness(pixels) * 0.5)))
