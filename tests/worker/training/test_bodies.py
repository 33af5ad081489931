"""The recipes that start from a pre-trained body, each from photos to an artifact that serves."""

from pathlib import Path

import numpy as np
import pytest

from shared.errors import SetupError
from tests.worker.training.shapes import write_shapes
from worker.model.artifact import load
from worker.model.tagger import Tagger

pytest.importorskip("tensorflow")

from tests.worker.network.bodies import write_body, write_lite
from worker.training import export as export_module
from worker.training.recipes import recipe_of
from worker.training.train import Order, train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some drawn photos."""
    return write_shapes(tmp_path_factory.mktemp("data") / "data", 36)


@pytest.fixture(autouse=True)
def _quickly_timed(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(export_module, "_TIMED_ROUNDS", 1)


def _train(name: str, data: Path, body: Path, out: Path) -> tuple[list[str], np.ndarray]:
    recipe = recipe_of(name).lasting(2)
    stages: list[str] = []
    train(
        Order(data=data, out=out, recipe=recipe, backbone=body),
        lambda stage, _: stages.append(stage),
    )
    artifact = load(out)
    assert artifact.manifest.name == name.replace("-", "_")
    assert artifact.vocabulary == ("circles", "shapes", "squares")
    assert f"--recipe {name}" in (out / "MODEL_CARD.md").read_text()
    photos = np.random.default_rng(0).integers(0, 256, (16, recipe.side, recipe.side, 3), np.uint8)
    return stages, Tagger(artifact).scores(photos)


@pytest.mark.parametrize("name", ["backbone", "path", "path-rnn"])
def test_a_head_is_trained_on_what_the_body_sees(name: str, data: Path, tmp_path: Path) -> None:
    body = tmp_path / "body.keras"
    write_body(body)
    stages, scores = _train(name, data, body, tmp_path / "model")
    assert np.isfinite(scores).all()
    assert "view 1 of 2" in stages
    assert stages.count("head") == 2
    recipe = load(tmp_path / "model").manifest.provenance.recipe
    assert recipe["body"] == "body.keras"
    if name != "backbone":  # shapes are above circles and squares; int8 rounds
        assert (scores[:, 1] + 0.01 >= np.maximum(scores[:, 0], scores[:, 2])).all()


def test_the_compact_network_learns_from_a_teacher(data: Path, tmp_path: Path) -> None:
    body = tmp_path / "lite0.keras"
    write_lite(body)
    stages, scores = _train("compact", data, body, tmp_path / "model")
    assert np.isfinite(scores).all()
    assert list(dict.fromkeys(stages)) == [
        *("reading photos", "photos for the teacher", "view 1 of 2", "view 2 of 2"),
        *("head", "body", "asking the teacher", "network", "exporting", "judging", "writing"),
    ]
    artifact = load(tmp_path / "model")
    assert artifact.manifest.input.width == 48
    assert artifact.manifest.provenance.recipe["teacher_body"] == "lite0.keras"


def test_the_compact_network_starts_from_no_other_body(data: Path, tmp_path: Path) -> None:
    body = tmp_path / "body.keras"
    write_body(body)
    order = Order(data=data, out=tmp_path / "model", recipe=recipe_of("compact"), backbone=body)
    with pytest.raises(SetupError, match="starts from EfficientNet-Lite0"):
        train(order)


@pytest.mark.parametrize("name", ["backbone", "compact", "path", "path-rnn"])
def test_without_a_body_the_recipe_says_what_it_needs(
    name: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match="starts from a pre-trained network"):
        train(Order(data=data, out=tmp_path / "model", recipe=recipe_of(name)))
