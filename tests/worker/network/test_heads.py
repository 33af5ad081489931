"""Heads give scores that can be served, and those of the hierarchy keep to it."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from worker.model.tagger import Tagger

pytest.importorskip("tensorflow")

import keras
from keras import layers

from worker.network import heads
from worker.training.export import Weights, keras_scores, to_litert

TAGS = ("bags", "cables", "cameras", "lenses", "macro lenses")
PARENTS = {"lenses": "cameras", "macro lenses": "lenses", "bags": "cameras"}
PIXELS = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), np.uint8)
MEAN = np.linspace(-1, 1, 12).astype(np.float32)
DEVIATION = np.linspace(0.5, 2, 12).astype(np.float32)


def _constrained(features: Any) -> Any:
    return heads.constrained(heads.logistic(features, TAGS), TAGS, PARENTS)


def _standardised(features: Any) -> Any:
    return heads.logistic(heads.standardised(features, MEAN, DEVIATION), TAGS)


HEADS: dict[str, Callable[[Any], Any]] = {
    "flat": partial(heads.flat, tags=TAGS),
    "paper": partial(heads.paper, tags=TAGS),
    "logistic": _standardised,
    "constrained": _constrained,
    "path_decoder": partial(heads.path_decoder, tags=TAGS, parents=PARENTS),
}


def _network(head: Callable[[Any], Any]) -> Any:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((16, 16, 3))
    x: Any = layers.Rescaling(1 / 128, -127 / 128)(pixels)
    x = layers.Conv2D(12, 5, strides=2, activation="relu")(x)
    return keras.Model(pixels, head(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize(("weights", "tolerance"), [("float32", 1e-5), ("int8", 0.1)])
@pytest.mark.parametrize("name", HEADS)
def test_every_head_is_exported_to_what_serves(
    name: str, weights: Weights, tolerance: float
) -> None:
    network = _network(HEADS[name])
    model = to_litert(network, weights, PIXELS)
    scores = Tagger.of_model(model, height=16, width=16, tags=len(TAGS)).scores(PIXELS)
    assert np.abs(scores - keras_scores(network, PIXELS)).max() < tolerance


@pytest.mark.parametrize("name", ["constrained", "path_decoder"])
def test_no_tag_outscores_the_one_above_it(name: str) -> None:
    features = keras.Input((12,))
    network: Any = keras.Model(features, HEADS[name](features))
    random = np.random.default_rng(1)
    scores = np.asarray(network(random.normal(0, 3, (500, 12)).astype(np.float32)))
    assert scores.shape == (500, len(TAGS))
    for tag, above in PARENTS.items():
        assert (scores[:, TAGS.index(above)] >= scores[:, TAGS.index(tag)]).all()
    # The two roots are scored by themselves: it is not one number for all.
    assert np.ptp(scores, axis=1).min() > 0


def test_a_constrained_score_is_the_greatest_at_or_below_the_tag() -> None:
    scores = np.array([[0.2, 0.1, 0.3, 0.4, 0.9]], np.float32)
    found = np.asarray(heads.constrained(scores, TAGS, PARENTS))
    assert found.tolist() == np.array([[0.2, 0.1, 0.9, 0.9, 0.9]], np.float32).tolist()


def test_whoever_carries_a_tag_carries_all_above_it() -> None:
    truth = np.array([[0, 0, 0, 0, 1], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0]], np.float32)
    found = heads.coherent_truth(truth, TAGS, PARENTS)
    assert found.tolist() == [[0, 0, 1, 1, 1], [0, 1, 0, 0, 0], [1, 0, 1, 0, 0]]
    assert truth.sum() == 3, "the labels themselves stay as they are"


def test_the_walk_takes_more_tags_than_its_state_is_wide() -> None:
    tags = [f"tag{number:03}" for number in range(heads.STATE + 2)]
    features = keras.Input((4,))
    network: Any = keras.Model(features, heads.path_decoder(features, tags, {tags[1]: tags[0]}))
    assert network.output_shape == (None, len(tags))


def test_standardised_features_have_mean_0_and_deviation_1() -> None:
    features = keras.Input((12,))
    network: Any = keras.Model(features, heads.standardised(features, MEAN, DEVIATION))
    rows = np.stack([MEAN, MEAN + DEVIATION, MEAN - 2 * DEVIATION])
    expected = np.array([0, 1, -2])[:, None] * np.ones(12)
    assert np.asarray(network(rows)) == pytest.approx(expected, abs=1e-5)
