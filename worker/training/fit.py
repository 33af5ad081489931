"""Fitting a network: a loop over epochs that a killed training takes up where it stopped."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportAttributeAccessIssue=false

import json
import math
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
from worker.training.cluster import Cluster
from worker.training.examples import Examples, batches, drawn
from worker.training.losses import Loss, cross_entropy
from worker.training.schedule import Schedule

#: Of a batch of validation photos or features: what a network makes of a large photo at every
#: layer has to fit into memory.
VALIDATION_BATCH_VALUES = 2 << 20


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

    best_epoch: int  #: counted from 1; 0 where nothing was better than the beginning
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
    seed: int,
    cluster: Cluster,
    checkpoint: Path,
    fingerprint: str,
    on_progress: Callable[[Progress], None],
) -> Fitted:
    """Gives `network` the weights of the epoch whose validation loss is lowest.

    Adam with decoupled weight decay; after each epoch everything goes into `checkpoint`, and order
    and augmentation are drawn from seed and epoch: a fit that was killed ends where an unbroken
    one would have. Processes of a cluster share each batch, and step with the mean of their
    gradients.

    Args:
        network: its trainable variables are what is fitted; made within the cluster's scope.
        judged: the same weights as they will serve, from inputs to scores.
        loss: over the network's outputs and the targets of a batch.
        train: what is learned from.
        validation: what chooses the epoch, by the cross-entropy of the scores.
        schedule: epochs, batch size, learning rate.
        seed: decides order and augmentation.
        cluster: this process and those that train with it.
        checkpoint: file that is taken up if it is there and carries the same fingerprint; the
            chief writes it, and all processes of a cluster read it.
        fingerprint: names the data set and all that decides the fit.
        on_progress: called after every epoch; what it raises ends the fit.

    Raises:
        TrainingDiverged: the loss is not a number any more.
    """
    with cluster.strategy.scope():
        optimizer = keras.optimizers.AdamW(
            schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        optimizer.build(network.trainable_variables)
    state = Checkpoint(
        network,
        optimizer,
        checkpoint,
        fingerprint=json.dumps([fingerprint, asdict(schedule), seed, cluster.size]),
        writes=cluster.chief,
    )
    learn = _learner(network, optimizer, loss, train, cluster, augmented=schedule.augmented)
    judge = _judge(judged, validation)
    epoch = state.restore()
    if epoch is None:
        epoch = 0
        state.save(epoch, _mean_loss(judge, validation, cluster))
    while epoch < schedule.epochs and not schedule.gives_up(epoch, state.best_epoch):
        optimizer.learning_rate.assign(schedule.rate(epoch))
        started = time.perf_counter()
        train_loss = _learn_epoch(
            learn, train, cluster, batch_photos=schedule.batch_photos, seed=seed, epoch=epoch
        )
        seconds = time.perf_counter() - started
        validation_loss = _mean_loss(judge, validation, cluster)
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
    cluster: Cluster,
    *,
    augmented: bool,
) -> Callable[..., Any]:
    def step(inputs: Any, truth: Any, seed: Any) -> Any:
        seen = augment(inputs, seed) if augmented else tf.cast(inputs, tf.float32)
        with tf.GradientTape() as tape:
            found = loss(network(seen, training=True), truth)
            # The gradients of all processes are added up.
            penalised = tf.add_n([found, *network.losses]) / cluster.size
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(penalised, variables), variables)
        return found

    @tf.function(input_signature=[*examples.signature, tf.TensorSpec([2], tf.int32)])
    def learn(inputs: Any, truth: Any, seed: Any) -> Any:
        return cluster.strategy.run(step, args=(inputs, truth, seed))

    return learn


def _judge(judged: keras.Model, examples: Examples) -> Callable[..., Any]:
    @tf.function(input_signature=examples.signature)
    def judge(inputs: Any, truth: Any) -> Any:
        return cross_entropy(judged(tf.cast(inputs, tf.float32), training=False), truth)

    return judge


def _learn_epoch(
    learn: Callable[..., Any],
    train: Examples,
    cluster: Cluster,
    *,
    batch_photos: int,
    seed: int,
    epoch: int,
) -> float:
    order = drawn(train, np.random.default_rng([seed, epoch]))
    # Equal shares: a process that ran out of batches would leave the others waiting.
    shared = len(order) // cluster.size * cluster.size
    own = order[:shared][cluster.place :: cluster.size]
    size = max(1, batch_photos // cluster.size)
    total = tf.constant(0.0)
    for step, (inputs, truth) in enumerate(batches(train, own, epoch, size)):
        draw = np.array([seed * 100_003 + epoch, step * cluster.size + cluster.place], np.int32)
        total += learn(inputs, truth, draw) * float(len(inputs))
    [summed] = cluster.sums([float(total)])
    mean = summed / shared
    if not np.isfinite(mean):
        raise TrainingDiverged(f"in epoch {epoch}")
    return mean


def _mean_loss(judge: Callable[..., Any], validation: Examples, cluster: Cluster) -> float:
    total = 0.0
    order = np.arange(len(validation))[cluster.place :: cluster.size]
    values = math.prod(validation.signature[0].shape[1:])
    size = max(1, VALIDATION_BATCH_VALUES // values)
    for inputs, truth in batches(validation, order, 0, size):
        total += float(judge(inputs, truth)) * len(inputs)
    [summed] = cluster.sums([total])
    return summed / len(validation)
