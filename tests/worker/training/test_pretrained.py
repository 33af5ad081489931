"""The end of a body is fitted with its head, and the rest of it stays what it was."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
from keras import layers

from tests.worker.network.bodies import write_body
from tests.worker.training.shapes import write_shapes
from worker.network.body import headless_file
from worker.training.cluster import join
from worker.training.prepare import prepare
from worker.training.pretrained import Pretrained, Taught
from worker.training.recipes import Recipe, Tuning, recipe_of
from worker.training.schedule import Schedule
from worker.training.train import LIMITS
from worker.training.trainer import Files, Trainer

SIDE = 32


def _recipe(name: str, learning_rate: float) -> Recipe:
    schedule = Schedule(epochs=2, batch_photos=8, learning_rate=learning_rate, augmented=True)
    recipe = replace(recipe_of(name), side=SIDE, tuning=Tuning(layers=1, schedule=schedule))
    return recipe.lasting(3)


def _learn(recipe: Recipe, folder: Path) -> tuple[Taught, Trainer]:
    write_shapes(folder / "data", 36)
    write_body(folder / "body.keras", SIDE, layers.Conv2D(8, 1, use_bias=False, name="end"))
    prepared = prepare(
        folder / "data", folder / "work", side=SIDE, seed=0, limits=LIMITS, by=recipe.split
    )
    files = Files(folder / "work", folder / "body.keras")
    trainer = Trainer(prepared, files, 0, LIMITS, join(), lambda _, __: None)
    keras.utils.set_random_seed(0)
    return Pretrained(trainer, recipe, prepared.pixels).learn(), trainer


def _weights(network: keras.Model, name: str) -> Any:
    """Those of a layer of the body, which is a network in the network."""
    inner = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    [layer] = [layer for model in inner for layer in model.layers if layer.name == name]
    return layer.get_weights()


@pytest.mark.parametrize("name", ["backbone", "path"])
def test_the_end_learns_and_the_rest_does_not(name: str, tmp_path: Path) -> None:
    taught, trainer = _learn(_recipe(name, learning_rate=0.01), tmp_path)
    tuned = taught.learned.described["tuned"]
    assert (tuned["epochs"], tuned["best_epoch"] > 0) == (2, True)
    before = headless_file(tmp_path / "body.keras", SIDE, SIDE).network
    for layer in before.layers:
        pairs = zip(layer.get_weights(), _weights(taught.learned.network, layer.name), strict=True)
        same = all(np.array_equal(one, two) for one, two in pairs)
        assert same == (layer.name != "end"), layer.name
    pixels = trainer.prepared.pixels
    scores = taught.learned.network.predict(pixels.astype(np.float32), verbose=0)  # pyright: ignore[reportArgumentType]
    assert taught.scores() == pytest.approx(scores, abs=1e-5)


def test_what_only_gets_worse_stays_as_it_was(tmp_path: Path) -> None:
    taught, _ = _learn(_recipe("backbone", learning_rate=100.0), tmp_path)
    assert taught.learned.described["tuned"]["best_epoch"] == 0
    before = headless_file(tmp_path / "body.keras", SIDE, SIDE).network
    [kept] = _weights(taught.learned.network, "end")
    assert np.array_equal(kept, before.get_layer("end").get_weights()[0])
