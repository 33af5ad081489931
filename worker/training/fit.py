"""Fitting a network: a loop over epochs that a killed training takes up where it stopped."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportAttributeAccessIssue=false

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from shared.errors import TrainingDiverged
from worker.training.augment import augment
from worker.training.checkpoint import Checkpoint
from worker.training.examples import Examples, batches
from worker.training.losses import Loss, cross_entropy
from worker.training.schedule import Schedule

VALIDATION_BATCH_PHOTOS = 512


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
class Fitted:
    """How a fit went; the network has the weights of the best epoch."""

    best_epoch: int  #: counted from 1
    epochs: int  #: that it took, those before a restart included
    best_validation_loss: float


def fit(
    network: keras.Model,
    judged: keras.Model,
    loss: Loss,
    train: Examples,
    validation: Examples,
    *,
    schedule: Schedule,
    checkpoint: Path,
    fingerprint: str,
    on_progress: Callable[[Progress], None],
) -> Fitted:
    """Gives `network` the weights of the epoch whose validation loss is lowest.

    Adam with decoupled weight decay; after each epoch everything goes into `checkpoint`, and order
    and augmentation are drawn from seed and epoch: a fit that was killed ends where an unbroken
    one would have.

    Args:
        network: its trainable variables are what is fitted.
        judged: the same weights as they will serve, from inputs to scores.
        loss: over the network's outputs and the targets of a batch.
        train: what is learned from.
        validation: what chooses the epoch, by the cross-entropy of the scores.
        schedule: epochs, batch size, learning rate, seed.
        checkpoint: file that is taken up if it is there and carries the same fingerprint.
        fingerprint: names the data set and all that decides the fit.
        on_progress: called after every epoch; what it raises ends the fit.

    Raises:
        TrainingDiverged: the loss is not a number any more.
    """
    optimizer = keras.optimizers.AdamW(schedule.learning_rate, weight_decay=schedule.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(network.trainable_variables)
    state = Checkpoint(
        network,
        optimizer,
        checkpoint,
        fingerprint=json.dumps([fingerprint, asdict(schedule)]),
    )
    learn = _learner(network, optimizer, loss, train, augmented=schedule.augmented)
    judge = _judge(judged, validation)
    epoch = state.restore()
    while epoch < schedule.epochs and not schedule.gives_up(epoch, state.best_epoch):
        optimizer.learning_rate.assign(schedule.rate(epoch))
        started = time.perf_counter()
        train_loss = _learn_epoch(learn, train, schedule, epoch)
        seconds = time.perf_counter() - started
        validation_loss = _mean_loss(judge, validation)
        epoch += 1
        state.save(epoch, validation_loss)
        on_progress(
            Progress(
                epoch=epoch,
                epochs=schedule.epochs,
                train_loss=train_loss,
                validation_loss=validation_loss,
                best_validation_loss=state.best_loss,
                photos_per_s=len(train) / seconds,
            )
        )
    state.take_best()
    return Fitted(state.best_epoch, epoch, state.best_loss)


def _learner(
    network: keras.Model,
    optimizer: keras.Optimizer,
    loss: Loss,
    examples: Examples,
    *,
    augmented: bool,
) -> Callable[..., Any]:
    @tf.function(input_signature=[*examples.signature, tf.TensorSpec([2], tf.int32)])
    def learn(inputs: Any, truth: Any, seed: Any) -> Any:
        seen = augment(inputs, seed) if augmented else tf.cast(inputs, tf.float32)
        with tf.GradientTape() as tape:
            found = loss(network(seen, training=True), truth)
            penalised = tf.add_n([found, *network.losses])
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(penalised, variables), variables)
        return found

    return learn


def _judge(judged: keras.Model, examples: Examples) -> Callable[..., Any]:
    @tf.function(input_signature=examples.signature)
    def judge(inputs: Any, truth: Any) -> Any:
        return cross_entropy(judged(tf.cast(inputs, tf.float32), training=False), truth)

    return judge


def _learn_epoch(
    learn: Callable[..., Any], train: Examples, schedule: Schedule, epoch: int
) -> float:
    order = np.random.default_rng([schedule.seed, epoch]).permutation(len(train))
    total = tf.constant(0.0)
    for step, (inputs, truth) in enumerate(batches(train, order, epoch, schedule.batch_photos)):
        seed = np.array([schedule.seed * 100_003 + epoch, step], np.int32)
        total += learn(inputs, truth, seed) * float(len(inputs))
    mean = float(total) / len(order)
    if not np.isfinite(mean):
        raise TrainingDiverged(f"in epoch {epoch}")
    return mean


def _mean_loss(judge: Callable[..., Any], validation: Examples) -> float:
    total = 0.0
    order = np.arange(len(validation))
    for inputs, truth in batches(validation, order, 0, VALIDATION_BATCH_PHOTOS):
        total += float(judge(inputs, truth)) * len(inputs)
    return total / len(validation)
