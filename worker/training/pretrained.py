"""A head on what a pre-trained body sees; then, where the recipe asks, the body's end too."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from numpy.typing import NDArray

from worker.dataset.catalogue import parents_of
from worker.network import heads
from worker.network.body import Body, application, headless_file, pooled
from worker.training import losses
from worker.training.examples import FeatureExamples
from worker.training.features import make_features
from worker.training.fit import Fitted
from worker.training.prepare import Prepared, Rows
from worker.training.recipes import Recipe, Tuning
from worker.training.trainer import Files, Learned, Trainer, policy

#: Rows whose features say how features are spread.
SPREAD_PHOTOS: Final = 20_000
_SCORED_PHOTOS: Final = 32


@dataclass(frozen=True, slots=True)
class Taught:
    """A trained network, and what it says of all photos."""

    learned: Learned
    scores: Callable[[], NDArray[np.float32]]  #: `[photos, tags]`


class Pretrained:
    """Trains a recipe that begins with a pre-trained body."""

    def __init__(self, trainer: Trainer, recipe: Recipe, pixels: NDArray[np.uint8]) -> None:
        """Reads the body, and lets it look at nothing yet.

        Args:
            trainer: the training this is a part of.
            recipe: what to train.
            pixels: uint8 `[photos, side, side, 3]` of all photos, at the recipe's size.

        Raises:
            SetupError: the body's file is missing or refused.
        """
        self._trainer = trainer
        self._recipe = recipe
        self._pixels = pixels
        self._body = _body(recipe, trainer.files)

    def learn(self) -> Taught:
        """Trains, or goes on where a killed training stopped.

        Raises:
            DatasetError: the disk is full or fails.
            TrainingDiverged: the loss is not a number any more.
        """
        features = self._features()
        head, fitted = self._head(features)
        whole = _joined(self._body, head.judged)
        about: dict[str, Any] = {"body": self._body.weights, "body_sha256": self._body.sha256}
        if self._recipe.tuning is None:
            learned = Learned(whole, fitted, about)
            return Taught(learned, lambda: _scores(head.judged, features[0]))
        tuned = self._tuned(self._recipe.tuning, head, features, whole)
        learned = Learned(whole, fitted, {**about, "tuned": asdict(tuned)})
        return Taught(learned, lambda: _scores(whole, self._pixels))

    def _features(self) -> NDArray[np.float16]:
        trainer = self._trainer

        def show(done: int, wanted: int) -> None:
            trainer.on_progress(f"view {min(done + 1, wanted)} of {wanted}", None)

        about = [trainer.prepared.sha256, self._recipe.preprocessing, self._body.sha256]
        return trainer.cluster.in_turn(
            lambda: make_features(
                self._pixels,
                self._body.network,
                trainer.files.work,
                views=self._recipe.views,
                seed=trainer.seed,
                fingerprint=" ".join(about),
                on_progress=show,
            )
        )

    def _head(self, features: NDArray[np.float16]) -> "tuple[_Head, Fitted]":
        """A head fitted on what the body saw in all views."""
        trainer, recipe = self._trainer, self._recipe
        prepared, seed = trainer.prepared, trainer.seed
        train, validation = prepared.train, prepared.validation
        head = trainer.in_scope(lambda: _head_of(recipe, prepared, features))
        fitted = trainer.fit(
            head.network,
            head.judged,
            head.loss,
            FeatureExamples(features, head.truth[train], train, seed, trainer.shares(recipe)),
            FeatureExamples(features[:1], head.truth[validation], validation, seed),
            stage="head",
            recipe=recipe,
            schedule=recipe.schedule,
        )
        own = _head_of(recipe, prepared, features)
        own.network.set_weights(head.network.get_weights())
        return own, fitted

    def _tuned(
        self,
        tuning: Tuning,
        head: "_Head",
        features: NDArray[np.float16],
        whole: keras.Model,
    ) -> Fitted:
        """Fits head and end of the body together; `whole` gets what they came to."""
        trainer, recipe, prepared = self._trainer, self._recipe, self._trainer.prepared

        def build() -> tuple[keras.Model, keras.Model]:
            body = _body(recipe, trainer.files)
            _free_the_end(body.network, tuning.layers)
            again = _head_of(recipe, prepared, features)
            again.network.set_weights(head.network.get_weights())
            return _joined(body, again.network), _joined(body, again.judged)

        network, judged = trainer.in_scope(build)
        fitted = trainer.fit(
            network,
            judged,
            head.loss,
            trainer.photos(self._pixels, head.truth, prepared.train, trainer.shares(recipe)),
            trainer.photos(self._pixels, head.truth, prepared.validation),
            stage="body",
            recipe=recipe,
            schedule=tuning.schedule,
        )
        whole.set_weights(judged.get_weights())
        return fitted


def _body(recipe: Recipe, files: Files) -> Body:
    """The body, from pixels in 0..255 to one vector a photo."""
    side = recipe.side
    if recipe.network in {"vgg16", "densenet121"}:
        name = "vgg16" if recipe.network == "vgg16" else "densenet121"
        found = application(name, side, side, files.weights)
        features: Any = layers.Flatten()(found.network.output)
        return Body(keras.Model(found.network.input, features), found.weights, found.sha256)
    found = headless_file(files.backbone_file(), side, side, sha256=files.backbone_sha256)
    pixels = keras.Input((side, side, 3))
    scaled = layers.Rescaling(1 / 128, -127 / 128)(pixels)
    network = keras.Model(pixels, pooled(found.network(scaled)))
    return Body(network, found.weights, found.sha256)


@dataclass(frozen=True, slots=True)
class _Head:
    """A head on its own."""

    network: keras.Model  #: features -> what the loss is over
    judged: keras.Model  #: features -> scores
    loss: losses.Loss
    truth: NDArray[np.float32]  #: `[photos, tags]`


def _head_of(recipe: Recipe, prepared: Prepared, seen: NDArray[np.float16]) -> _Head:
    # A head is small, and its scores are to be told apart: float32, whatever its body computes in.
    with policy("float32"):
        return _float_head(recipe, prepared, seen)


def _float_head(recipe: Recipe, prepared: Prepared, seen: NDArray[np.float16]) -> _Head:
    tags, truth = prepared.tags, prepared.truth
    features = keras.Input((seen.shape[2],))
    mean, deviation = _spread(seen, prepared.train)
    if recipe.network in {"vgg16", "densenet121"}:
        network = keras.Model(features, heads.paper(features, tags))
        return _Head(network, network, losses.cross_entropy, truth)
    standard = heads.standardised(features, mean, deviation)
    if recipe.network == "backbone":
        network = keras.Model(features, heads.logistic(standard, tags))
        return _Head(network, network, losses.cross_entropy, truth)
    parents = parents_of(prepared.photos(prepared.train), tags)
    truth = heads.coherent_truth(truth, tags, parents)
    if recipe.network == "path_rnn":
        network = keras.Model(features, heads.path_decoder(standard, tags, parents))
        return _Head(network, network, losses.cross_entropy, truth)
    network = keras.Model(features, heads.logistic(standard, tags))
    judged = keras.Model(features, heads.constrained(network.output, tags, parents))
    return _Head(network, judged, losses.coherent(tags, parents), truth)


def _spread(
    seen: NDArray[np.float16], train: Rows
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each feature over training photos."""
    some = seen[0][train[:SPREAD_PHOTOS]].astype(np.float32)
    return some.mean(axis=0), some.std(axis=0) + np.float32(1e-3)


def _joined(body: Body, head: keras.Model) -> keras.Model:
    return keras.Model(body.network.input, head(ops.cast(body.network.output, "float32")))


def _free_the_end(body: keras.Model, count: int) -> None:
    """Freezes a body but for its last layers; batch normalisations keep what they know."""
    leaves = _leaves(body)
    fitted = [leaf for leaf in leaves if leaf.weights and not _normalises(leaf)]
    for leaf in leaves:
        leaf.trainable = leaf in fitted[-count:]


def _leaves(network: keras.Model) -> list[keras.Layer]:
    found: list[keras.Layer] = []
    for layer in network.layers:
        found += _leaves(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def _normalises(layer: keras.Layer) -> bool:
    return isinstance(layer, layers.BatchNormalization)


def _scores(network: keras.Model, inputs: NDArray[Any]) -> NDArray[np.float32]:
    """Of all inputs, in this process alone: Keras' own `predict` would share them out."""

    @tf.function
    def score(some: Any) -> Any:
        return network(tf.cast(some, tf.float32), training=False)

    starts = range(0, len(inputs), _SCORED_PHOTOS)
    return np.concatenate([score(inputs[i : i + _SCORED_PHOTOS]).numpy() for i in starts])
