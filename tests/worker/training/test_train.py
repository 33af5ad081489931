"""A real, tiny training: it learns, it can be killed, and what it makes can be served."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import DatasetError
from tests.worker.training.shapes import row, write_rows, write_shapes
from worker.dataset.labelled import read_dataset, truth_of
from worker.dataset.split import split
from worker.dataset.store import pixel_store
from worker.model.artifact import load
from worker.model.tagger import Tagger

pytest.importorskip("tensorflow")

from worker.training.fit import Progress
from worker.training.recipes import recipe_of
from worker.training.schedule import Schedule
from worker.training.train import Order, TrainResult, train

EPOCHS = 12
Told = Callable[[str, Progress | None], None]


@dataclass(frozen=True)
class Trained:
    """A data set, what was made of it, and the stages and epochs it took."""

    data: Path
    out: Path
    result: TrainResult
    stages: list[str]
    epochs: list[Progress]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training that nothing broke."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_shapes(folder / "data", 450)
    stages: list[str] = []
    epochs: list[Progress] = []

    def tell(stage: str, progress: Progress | None) -> None:
        stages.append(stage)
        _into(epochs)(stage, progress)

    result = train(_order(data, folder / "model"), tell)
    assert result is not None
    return Trained(data, folder / "model", result, stages, epochs)


def _order(data: Path, out: Path, *, epochs: int = EPOCHS, **changes: Any) -> Order:
    # Few photos: smaller batches, or an epoch would be a single step.
    schedule = Schedule(epochs=epochs, batch_photos=32, learning_rate=1e-3)
    recipe = replace(recipe_of("paper-vanilla"), schedule=schedule)
    return Order(data=data, out=out, recipe=recipe, **changes)


def _into(epochs: list[Progress]) -> Told:
    def tell(_: str, progress: Progress | None) -> None:
        if progress is not None:
            epochs.append(progress)

    return tell


def test_it_learns(trained: Trained) -> None:
    test = trained.result.artifact.manifest.metrics["test"]
    nothing = test["baselines"]["always_empty"]
    assert test["overall"]["exact_match"] > nothing["exact_match"] + 0.3
    assert trained.epochs[-1].train_loss < trained.epochs[0].train_loss / 1.5


def test_stages_and_every_epoch_are_told(trained: Trained) -> None:
    assert list(dict.fromkeys(trained.stages)) == [
        *("reading photos", "network", "exporting", "judging", "writing")
    ]
    assert [progress.epoch for progress in trained.epochs] == list(range(1, EPOCHS + 1))
    best = min(progress.validation_loss for progress in trained.epochs)
    assert trained.epochs[-1].best_validation_loss == best
    recipe = trained.result.artifact.manifest.provenance.recipe
    assert trained.epochs[int(recipe["best_epoch"]) - 1].validation_loss == best


def test_the_artifact_serves_as_it_was_measured(trained: Trained) -> None:
    artifact = load(trained.out)
    assert artifact.vocabulary == ("circles", "shapes", "squares")
    assert artifact.manifest.parents == {"circles": "shapes", "squares": "shapes"}
    assert artifact.related.recommend(["circles"])[0][0] == "shapes"
    dataset, pixels = pixel_store(
        read_dataset(trained.data),
        None,
        height=artifact.manifest.input.height,
        width=artifact.manifest.input.width,
        max_photo_pixels=10**6,
        min_photo_elements=1000,
        preprocessing=artifact.manifest.preprocessing,
    )
    scores = Tagger(artifact).scores(pixels)
    plain = np.array([not photo.tags for photo in dataset.photos])
    shapes = artifact.vocabulary.index("shapes")
    assert scores[~plain, shapes].mean() > scores[plain, shapes].mean() + 0.3
    parts = np.array(split(dataset.photos, 0))
    truth = truth_of(dataset.photos, artifact.vocabulary) > 0
    exact = ((scores >= artifact.thresholds) == truth).all(axis=1)[parts == "test"].mean()
    assert trained.result.measured["test"]["overall"]["exact_match"] == pytest.approx(exact)


def test_the_card_tells_data_measures_and_thin_tags(trained: Trained) -> None:
    card = (trained.out / "MODEL_CARD.md").read_text()
    assert "450 photos of" in card
    assert "train --recipe paper-vanilla --data data --out model --seed 0 --epochs 12" in card
    assert "| exact match ratio |" in card
    assert "| drawn |" in card
    assert str(trained.data.parent) not in card


def test_nothing_is_left_beside_the_artifact(trained: Trained) -> None:
    names = sorted(path.name for path in trained.out.parent.iterdir())
    assert names == ["data", "model"]


def test_a_killed_training_ends_where_an_unbroken_one_would_have(
    trained: Trained, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    order = _order(trained.data, tmp_path / "model", work=work)
    _train_and_die(order, epochs=4)
    assert not (tmp_path / "model").exists()
    epochs: list[Progress] = []

    def stop_after_two(stage: str, progress: Progress | None) -> None:
        _into(epochs)(stage, progress)
        if len(epochs) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(order, stop_after_two)
    assert [progress.epoch for progress in epochs] == [5, 6]
    for resumed, unbroken in zip(epochs, trained.epochs[4:6], strict=True):
        assert resumed.train_loss == pytest.approx(unbroken.train_loss, rel=0.02)
        assert resumed.validation_loss == pytest.approx(unbroken.validation_loss, rel=0.02)


def test_a_training_that_is_ended_before_it_writes_leaves_what_lies_there(
    trained: Trained, tmp_path: Path
) -> None:
    class Lost(Exception):
        pass

    def lose(stage: str, _: Progress | None) -> None:
        if stage == "writing":
            raise Lost

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "another's").touch()
    with pytest.raises(Lost):
        train(_order(trained.data, tmp_path / "model", epochs=1), lose)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["another's"]


def test_a_checkpoint_of_another_training_is_not_taken_up(trained: Trained, tmp_path: Path) -> None:
    for seed in (0, 1):
        epochs: list[Progress] = []
        order = _order(
            trained.data, tmp_path / "model", epochs=1, seed=seed, work=tmp_path / "work"
        )
        train(order, _into(epochs))
        assert [progress.epoch for progress in epochs] == [1]


def test_a_damaged_checkpoint_is_not_taken_up(trained: Trained, tmp_path: Path) -> None:
    order = _order(trained.data, tmp_path / "model", epochs=1, work=tmp_path / "work")
    train(order)
    [checkpoint] = (tmp_path / "work").glob("*.npz")
    checkpoint.write_bytes(b"PK\x03\x04 half a file")
    epochs: list[Progress] = []
    train(order, _into(epochs))
    assert [progress.epoch for progress in epochs] == [1]


def test_sets_that_are_left_out_are_judged_apart(tmp_path: Path) -> None:
    data = write_shapes(tmp_path / "data", 60)
    rows = [photo.model_dump(by_alias=True) for photo in read_dataset(data).photos]
    write_rows(
        data, [entry | {"set": "far"} if i % 4 == 0 else entry for i, entry in enumerate(rows)]
    )
    result = train(_order(data, tmp_path / "model", epochs=1, leave_out=["far"]))
    assert result is not None
    metrics = result.artifact.manifest.metrics
    assert list(metrics["left_out"]["by_set"]) == ["far"]
    assert list(metrics["test"]["by_set"]) == ["drawn"]
    assert "never seen: far" in (tmp_path / "model/MODEL_CARD.md").read_text()


def test_a_set_to_leave_out_must_be_there(tmp_path: Path) -> None:
    data = write_shapes(tmp_path / "data", 6)
    with pytest.raises(DatasetError, match="no such set to leave out: nowhere"):
        train(_order(data, tmp_path / "model", epochs=1, leave_out=["nowhere"]))


@pytest.mark.parametrize(
    ("photos", "complaint"), [(3, "more products are needed"), (0, "no usable row")]
)
def test_too_little_to_split_is_refused(tmp_path: Path, photos: int, complaint: str) -> None:
    data = write_shapes(tmp_path / "data", photos)
    with pytest.raises(DatasetError, match=complaint):
        train(_order(data, tmp_path / "model", epochs=1))


def test_photos_without_any_tag_are_nothing_to_learn(tmp_path: Path) -> None:
    data = write_shapes(tmp_path / "data", 3)
    write_rows(data, [row("photos/0002.jpg", shape="plain")])
    with pytest.raises(DatasetError, match="no photo carries a tag"):
        train(_order(data, tmp_path / "model", epochs=1))


def _train_and_die(order: Order, *, epochs: int) -> None:
    # Spawned, because TensorFlow's threads do not survive a fork.
    process = multiprocessing.get_context("spawn").Process(
        target=_train_until, args=(order, epochs)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _train_until(order: Order, epochs: int) -> None:
    train(order, _killer(epochs))


def _killer(epochs: int) -> Told:
    def kill(_: str, progress: Progress | None) -> None:
        if progress is not None and progress.epoch == epochs:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill
