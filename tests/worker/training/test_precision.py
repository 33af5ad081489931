"""What is fitted in half precision is served in full."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras

from tests.worker.network.bodies import write_body, write_lite
from tests.worker.training.shapes import write_shapes
from worker.training import trainer as trainer_module
from worker.training.cluster import join, precision
from worker.training.fit import Fitted
from worker.training.learn import learn
from worker.training.prepare import prepare
from worker.training.recipes import recipe_of
from worker.training.train import LIMITS
from worker.training.trainer import Files, Trainer


@pytest.mark.parametrize("name", ["compact", "path"])
def test_a_network_fitted_in_bfloat16_serves_in_float32(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A processor computes in bfloat16 too, only more slowly than in float32.
    monkeypatch.setattr(trainer_module, "precision", lambda: "mixed_bfloat16")
    fitted: list[str] = []
    monkeypatch.setattr(trainer_module, "fit", _noting(fitted))
    write_shapes(tmp_path / "data", 36)
    (write_lite if name == "compact" else write_body)(tmp_path / "body.keras", 48)
    recipe = replace(recipe_of(name), side=48).lasting(2)
    prepared = prepare(tmp_path / "data", tmp_path / "work", side=48, seed=0, limits=LIMITS)
    files = Files(tmp_path / "work", tmp_path / "body.keras")
    trainer = Trainer(prepared, files, 0, LIMITS, join(), lambda _, __: None)
    network = learn(recipe, trainer).network
    assert "bfloat16" in fitted
    assert {layer.compute_dtype for layer in _layers(network)} == {"float32"}
    scores = network(prepared.pixels[:4].astype(np.float32), training=False)
    assert scores.dtype == np.float32  # pyright: ignore[reportAttributeAccessIssue]
    assert np.isfinite(scores).all()
    assert keras.config.dtype_policy().name == "float32"


def _noting(fitted: list[str]) -> Callable[..., Fitted]:
    """`fit` that notes what its network's layers compute in."""
    fit = trainer_module.fit

    def noted(network: keras.Model, *arguments: Any, **options: Any) -> Fitted:
        fitted.extend(layer.compute_dtype for layer in _layers(network))
        return fit(network, *arguments, **options)

    return noted


def _layers(network: keras.Model) -> list[keras.Layer]:
    found: list[keras.Layer] = []
    for layer in network.layers:
        found += _layers(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def test_without_a_gpu_it_is_float32() -> None:
    import tensorflow as tf  # noqa: PLC0415

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    assert precision() == "float32"
