"""Fitting the network: a loop over epochs that a killed training takes up where it stopped."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportAttributeAccessIssue=false

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from shared.errors import TrainingDiverged
from worker.model.network import vanilla_cnn
from worker.training.augment import augment

VALIDATION_BATCH_PHOTOS = 512


@dataclass(frozen=True, slots=True)
class Recipe:
    """What, besides the photos, decides a fit.

    The paper's is `learning_rate=5e-4, annealed=False, augmented=False, batch_photos=512`, 250
    epochs. An annealed rate falls from twice that to nothing, and so has the same mean.
    """

    epochs: int  #: in all, those before a restart included
    seed: int = 0
    batch_photos: int = 128
    learning_rate: float = 1e-3
    annealed: bool = True
    augmented: bool = True

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch (counted from 0): half a cosine, if annealed."""
        fall = (1 + math.cos(math.pi * epoch / self.epochs)) / 2 if self.annealed else 1.0
        return self.learning_rate * fall


@dataclass(frozen=True, slots=True)
class Progress:
    """One epoch's end."""

    epoch: int  #: counted from 1
    epochs: int
    train_loss: float
    validation_loss: float
    best_validation_loss: float
    photos_per_s: float


@dataclass(frozen=True, slots=True)
class Labelled:
    """Photos with their truth."""

    pixels: NDArray[np.uint8]  #: `[n, height, width, 3]` RGB
    truth: NDArray[np.float32]  #: `[n, tags]`, 0 or 1


def fit(
    train: Labelled,
    validation: Labelled,
    *,
    recipe: Recipe,
    checkpoint: Path,
    fingerprint: str,
    on_progress: Callable[[Progress], None],
) -> tuple[keras.Model, int]:
    """The network with the weights of the epoch whose validation loss was lowest.

    Adam, binary cross-entropy, lowest validation loss kept: as in the paper's notebooks.
    After each epoch everything goes into `checkpoint`, and order and augmentation are drawn from
    seed and epoch: a fit that was killed ends where an unbroken one would have.

    Args:
        train: what is learned from.
        validation: what chooses the epoch.
        recipe: epochs, batch size, learning rate, seed.
        checkpoint: file that is taken up if it is there and carries the same fingerprint.
        fingerprint: names the data set and the recipe.
        on_progress: called after every epoch.

    Returns:
        The network, and the epoch (counted from 1) whose weights it has.
    """
    keras.utils.set_random_seed(recipe.seed)
    _, height, width, _ = train.pixels.shape
    model = vanilla_cnn(train.truth.shape[1], height, width)
    optimizer = keras.optimizers.Adam(recipe.learning_rate)
    optimizer.build(model.trainable_variables)
    state = _State(model, optimizer, checkpoint, fingerprint)
    learn, judge = _steps(model, optimizer, augmented=recipe.augmented)
    for epoch in range(state.restore(), recipe.epochs):
        optimizer.learning_rate.assign(recipe.rate(epoch))
        started = time.perf_counter()
        train_loss = _learn_epoch(learn, train, recipe, epoch)
        seconds = time.perf_counter() - started
        validation_loss = _mean_loss(judge, validation)
        state.save(epoch + 1, validation_loss)
        on_progress(
            Progress(
                epoch=epoch + 1,
                epochs=recipe.epochs,
                train_loss=train_loss,
                validation_loss=validation_loss,
                best_validation_loss=state.best_loss,
                photos_per_s=len(train.pixels) / seconds,
            )
        )
    return model, state.take_best()


def _steps(
    model: keras.Model, optimizer: keras.Optimizer, *, augmented: bool
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    cross_entropy = keras.losses.BinaryCrossentropy()
    pixels = tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)
    truth = tf.TensorSpec([None, model.output_shape[1]], tf.float32)

    @tf.function(input_signature=[pixels, truth, tf.TensorSpec([2], tf.int32)])
    def learn(pixels: Any, truth: Any, seed: Any) -> Any:
        images = augment(pixels, seed) if augmented else tf.cast(pixels, tf.float32)
        with tf.GradientTape() as tape:
            loss: Any = cross_entropy(truth, model(images, training=True))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    @tf.function(input_signature=[pixels, truth])
    def judge(pixels: Any, truth: Any) -> Any:
        return cross_entropy(truth, model(tf.cast(pixels, tf.float32), training=False))

    return learn, judge


def _learn_epoch(learn: Callable[..., Any], train: Labelled, recipe: Recipe, epoch: int) -> float:
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(train.pixels))
    total = 0.0
    for step, start in enumerate(range(0, len(order), recipe.batch_photos)):
        rows = order[start : start + recipe.batch_photos]
        seed = np.array([recipe.seed * 100_003 + epoch, step], np.int32)
        total += float(learn(train.pixels[rows], train.truth[rows], seed)) * len(rows)
    if not np.isfinite(total):
        raise TrainingDiverged(f"in epoch {epoch}")
    return total / len(order)


def _mean_loss(judge: Callable[..., Any], validation: Labelled) -> float:
    total = 0.0
    for start in range(0, len(validation.pixels), VALIDATION_BATCH_PHOTOS):
        rows = slice(start, start + VALIDATION_BATCH_PHOTOS)
        pixels, truth = validation.pixels[rows], validation.truth[rows]
        total += float(judge(pixels, truth)) * len(pixels)
    return total / len(validation.pixels)


class _State:
    """All that a fit knows after an epoch, in one file without pickles."""

    def __init__(
        self, model: keras.Model, optimizer: keras.Optimizer, path: Path, fingerprint: str
    ) -> None:
        # The seed variables of the dropout layers are among them: weights alone are not enough.
        self._live = [*model.variables, *optimizer.variables]
        self._model = model
        self._path = path
        self._fingerprint = fingerprint
        self._best = _values(model.variables)
        self._best_epoch = 0
        self.best_loss = float("inf")

    def restore(self) -> int:
        """The epochs already behind us; 0 where there is nothing to take up."""
        try:
            with np.load(self._path, allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                if about["fingerprint"] != self._fingerprint:
                    return 0
                live = [arrays[f"live{i}"] for i in range(len(self._live))]
                best = [arrays[f"best{i}"] for i in range(len(self._best))]
        except (OSError, ValueError, KeyError, BadZipFile):  # none yet, or not one of ours
            return 0
        for variable, value in zip(self._live, live, strict=True):
            variable.assign(value)
        self._best, self._best_epoch = best, int(about["best_epoch"])
        self.best_loss = float(about["best_loss"])
        return int(about["epoch"])

    def save(self, epoch: int, validation_loss: float) -> None:
        if validation_loss < self.best_loss:
            self.best_loss = validation_loss
            self._best_epoch = epoch
            self._best = _values(self._model.variables)
        about = {
            "fingerprint": self._fingerprint,
            "epoch": epoch,
            "best_epoch": self._best_epoch,
            "best_loss": self.best_loss,
        }
        arrays: dict[str, NDArray[Any]] = {"about": np.array(json.dumps(about))}
        arrays |= {f"live{i}": value for i, value in enumerate(_values(self._live))}
        arrays |= {f"best{i}": value for i, value in enumerate(self._best)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)

    def take_best(self) -> int:
        for variable, value in zip(self._model.variables, self._best, strict=True):
            variable.assign(value)
        return self._best_epoch


def _values(variables: Any) -> list[NDArray[Any]]:
    # Copies, because an array of TensorFlow's may be the variable's own memory.
    return [np.array(variable.value.numpy()) for variable in variables]


def fingerprint_of(
    dataset_sha256: str, preprocessing: str, recipe: Recipe, left_out: Sequence[str]
) -> str:
    """What must be the same for a checkpoint to be taken up."""
    return json.dumps([dataset_sha256, preprocessing, asdict(recipe), list(left_out)])
