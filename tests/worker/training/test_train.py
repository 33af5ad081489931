"""A real, tiny training: it learns, it can be killed, and what it makes can be served."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from shared.errors import DatasetError
from tests.worker.training.shapes import row, write_rows, write_shapes
from worker.dataset.labelled import load_pixels, read_dataset
from worker.model.artifact import load
from worker.model.tagger import Tagger

pytest.importorskip("tensorflow")

from worker.training.train import Progress, TrainResult, train

EPOCHS = 20


@dataclass(frozen=True)
class Trained:
    """A data set, what was made of it, and the epochs it took."""

    data: Path
    out: Path
    result: TrainResult
    epochs: list[Progress]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    data = write_shapes(folder / "data", 450)
    epochs: list[Progress] = []
    result = train(data, folder / "model", epochs=EPOCHS, on_progress=epochs.append)
    return Trained(data, folder / "model", result, epochs)


def test_it_learns(trained: Trained) -> None:
    test = trained.result.artifact.manifest.metrics["test"]
    assert test["exact_match"] > test["exact_match_always_empty"] + 0.3
    assert trained.epochs[-1].train_loss < trained.epochs[0].train_loss / 1.5


def test_progress_is_told_after_every_epoch(trained: Trained) -> None:
    assert [progress.epoch for progress in trained.epochs] == list(range(1, EPOCHS + 1))
    best = min(progress.validation_loss for progress in trained.epochs)
    assert trained.epochs[-1].best_validation_loss == best
    assert trained.epochs[trained.result.best_epoch - 1].validation_loss == best


def test_the_artifact_serves_as_it_was_measured(trained: Trained) -> None:
    artifact = load(trained.out)
    assert artifact.vocabulary == ("circles", "shapes", "squares")
    assert artifact.manifest.parents == {"circles": "shapes", "squares": "shapes"}
    assert artifact.related.recommend(["circles"])[0][0] == "shapes"
    dataset, pixels = load_pixels(
        read_dataset(trained.data),
        height=artifact.manifest.input.height,
        width=artifact.manifest.input.width,
        max_photo_pixels=10**6,
        min_photo_elements=1000,
    )
    scores = Tagger(artifact).scores(pixels)
    plain = np.array([not photo.tags for photo in dataset.photos])
    shapes = artifact.vocabulary.index("shapes")
    assert scores[~plain, shapes].mean() > scores[plain, shapes].mean() + 0.3


def test_the_card_tells_data_measures_and_thin_tags(trained: Trained) -> None:
    card = (trained.out / "MODEL_CARD.md").read_text()
    assert "450 photos of" in card
    assert "tagger train --data data --out model --epochs 20 --seed 0" in card
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
    _train_and_die(trained.data, tmp_path / "model", work, epochs=4)
    assert not (tmp_path / "model").exists()
    epochs: list[Progress] = []

    def stop_after_two(progress: Progress) -> None:
        epochs.append(progress)
        if len(epochs) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(
            trained.data, tmp_path / "model", epochs=EPOCHS, work=work, on_progress=stop_after_two
        )
    assert [progress.epoch for progress in epochs] == [5, 6]
    for resumed, unbroken in zip(epochs, trained.epochs[4:6], strict=True):
        assert resumed.train_loss == pytest.approx(unbroken.train_loss, rel=0.02)
        assert resumed.validation_loss == pytest.approx(unbroken.validation_loss, rel=0.02)


def test_a_checkpoint_of_another_training_is_not_taken_up(trained: Trained, tmp_path: Path) -> None:
    for seed in (0, 1):
        epochs: list[Progress] = []
        train(
            trained.data,
            tmp_path / "model",
            epochs=1,
            seed=seed,
            work=tmp_path / "work",
            on_progress=epochs.append,
        )
        assert [progress.epoch for progress in epochs] == [1]


def test_a_damaged_checkpoint_is_not_taken_up(trained: Trained, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "fit.npz").write_bytes(b"PK\x03\x04 half a file")
    epochs: list[Progress] = []
    train(trained.data, tmp_path / "model", epochs=1, work=work, on_progress=epochs.append)
    assert [progress.epoch for progress in epochs] == [1]


def test_sets_that_are_left_out_are_judged_apart(tmp_path: Path) -> None:
    data = write_shapes(tmp_path / "data", 60)
    rows = [photo.model_dump(by_alias=True) for photo in read_dataset(data).photos]
    write_rows(
        data, [entry | {"set": "far"} if i % 4 == 0 else entry for i, entry in enumerate(rows)]
    )
    result = train(data, tmp_path / "model", epochs=1, leave_out=["far"])
    metrics = result.artifact.manifest.metrics
    assert list(metrics["left_out"]["by_set"]) == ["far"]
    assert list(metrics["test"]["by_set"]) == ["drawn"]
    assert "never seen: far" in (tmp_path / "model/MODEL_CARD.md").read_text()


def test_a_set_to_leave_out_must_be_there(tmp_path: Path) -> None:
    data = write_shapes(tmp_path / "data", 6)
    with pytest.raises(DatasetError, match="no such set to leave out: nowhere"):
        train(data, tmp_path / "model", epochs=1, leave_out=["nowhere"])


@pytest.mark.parametrize(
    ("photos", "complaint"), [(3, "more products are needed"), (0, "no usable row")]
)
def test_too_little_to_split_is_refused(tmp_path: Path, photos: int, complaint: str) -> None:
    data = write_shapes(tmp_path / "data", photos)
    with pytest.raises(DatasetError, match=complaint):
        train(data, tmp_path / "model", epochs=1)


def test_photos_without_any_tag_are_nothing_to_learn(tmp_path: Path) -> None:
    data = write_shapes(tmp_path / "data", 3)
    write_rows(data, [row("photos/0002.jpg", shape="plain")])
    with pytest.raises(DatasetError, match="no photo carries a tag"):
        train(data, tmp_path / "model", epochs=1)


def _train_and_die(data: Path, out: Path, work: Path, *, epochs: int) -> None:
    # Spawned, because TensorFlow's threads do not survive a fork.
    process = multiprocessing.get_context("spawn").Process(
        target=_train_until, args=(data, out, work, epochs)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _train_until(data: Path, out: Path, work: Path, epochs: int) -> None:
    train(data, out, epochs=EPOCHS, work=work, on_progress=_killer(epochs))


def _killer(epochs: int) -> Callable[[Progress], None]:
    def kill(progress: Progress) -> None:
        if progress.epoch == epochs:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill
