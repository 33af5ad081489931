"""From a recipe and prepared photos to a trained network."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from shared.errors import SetupError
from worker.dataset.store import pixel_store
from worker.network import compact, heads
from worker.network.body import Body, application, headless_file, pooled
from worker.network.vanilla import vanilla_cnn
from worker.training import losses
from worker.training.catalogue import parents_of
from worker.training.examples import FeatureExamples, PhotoExamples
from worker.training.features import make_features
from worker.training.fit import Fitted, Progress, fit
from worker.training.prepare import Limits, Prepared, Rows
from worker.training.recipes import Recipe, recipe_of

#: Rows whose features say how features are spread.
SPREAD_PHOTOS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Files:
    """What a recipe may need besides the photos."""

    work: Path  #: folder for pixels, features and checkpoints
    backbone: Path | None = None  #: a headless Keras file
    weights: Path | None = None  #: of the paper's ImageNet networks
    backbone_sha256: str | None = None  #: what the backbone's hash must be


@dataclass(frozen=True, slots=True)
class Learned:
    """A trained network."""

    network: keras.Model  #: float32 `[n, side, side, 3]` in 0..255 -> float32 `[n, tags]`
    fitted: Fitted
    described: Mapping[str, Any]  #: what went in besides recipe and photos


class Learner:
    """Trains by one recipe, on one prepared data set."""

    def __init__(
        self,
        recipe: Recipe,
        prepared: Prepared,
        files: Files,
        *,
        seed: int,
        limits: Limits,
        on_progress: Callable[[str, Progress | None], None],
    ) -> None:
        """Does nothing yet.

        Args:
            recipe: what to train.
            prepared: on what, at the recipe's size.
            files: what else there is, and where to work.
            seed: decides the first weights, the order and the augmentation.
            limits: those that the photos were prepared with.
            on_progress: called with the stage, and with its epochs.
        """
        self._recipe = recipe
        self._prepared = prepared
        self._files = files
        self._seed = seed
        self._limits = limits
        self._on_progress = on_progress

    def learn(self) -> Learned:
        """Trains, or goes on where a killed training stopped.

        Raises:
            SetupError: a file that the recipe needs is missing or refused.
            DatasetError: the disk is full or fails.
            TrainingDiverged: the loss is not a number any more.
        """
        keras.utils.set_random_seed(self._seed)
        match self._recipe.network:
            case "vanilla":
                return self._from_pixels()
            case "compact":
                return self._distilled()
            case _:
                body = self._body(self._recipe)
                features = self._features(self._prepared.pixels, body, self._recipe)
                head, fitted = self._head(self._recipe, features)
                return Learned(
                    keras.Model(body.network.input, head.judged(body.network.output)),
                    fitted,
                    {"body": body.weights, "body_sha256": body.sha256},
                )

    def _from_pixels(self) -> Learned:
        network = vanilla_cnn(len(self._prepared.tags), self._recipe.side, self._recipe.side)
        fitted = self._fit(
            network,
            network,
            losses.cross_entropy,
            self._photos(self._prepared.train),
            self._photos(self._prepared.validation),
            stage="network",
        )
        return Learned(network, fitted, {})

    def _distilled(self) -> Learned:
        """A small network learns the labels as a large one sees them (Hinton et al. 2015)."""
        teacher = recipe_of("backbone")
        body = self._body(teacher)
        features = self._features(self._pixels(teacher.side), body, teacher)
        head, _ = self._head(teacher, features)
        told = head.judged.predict(features[0], batch_size=1024, verbose=0)
        share = self._recipe.soft_targets
        softened = (1 - share) * self._prepared.truth + share * told
        network = compact.compact_body(self._recipe.side, self._recipe.side)
        compact.inherit(network, self._ancestor())
        serves = keras.Model(network.input, heads.flat(network.output, self._prepared.tags))
        fitted = self._fit(
            serves,
            serves,
            losses.cross_entropy,
            self._photos(self._prepared.train, softened),
            self._photos(self._prepared.validation),
            stage="network",
        )
        about = {"teacher_body": body.weights, "teacher_body_sha256": body.sha256}
        return Learned(serves, fitted, about)

    def _head(self, recipe: Recipe, features: NDArray[np.float16]) -> "tuple[_Head, Fitted]":
        """Trains a head on what the body saw in all views."""
        prepared = self._prepared
        head = _head_of(recipe, prepared, features)
        train = FeatureExamples(features, head.truth[prepared.train], prepared.train, self._seed)
        validation = FeatureExamples(
            features[:1],
            head.truth[prepared.validation],
            prepared.validation,
            self._seed,
        )
        fitted = self._fit(
            head.network, head.judged, head.loss, train, validation, stage="head", recipe=recipe
        )
        return head, fitted

    def _fit(
        self,
        network: keras.Model,
        judged: keras.Model,
        loss: losses.Loss,
        train: Any,
        validation: Any,
        *,
        stage: str,
        recipe: Recipe | None = None,
    ) -> Fitted:
        recipe = recipe or self._recipe
        fingerprint = self._fingerprint(recipe)
        # Trainings that share a folder must not take each other's checkpoint away.
        name = hashlib.sha256(fingerprint.encode()).hexdigest()[:12]
        return fit(
            network,
            judged,
            loss,
            train,
            validation,
            schedule=recipe.schedule(self._seed),
            checkpoint=self._files.work / f"{recipe.name}-{stage}-{name}.npz",
            fingerprint=fingerprint,
            on_progress=lambda progress: self._on_progress(stage, progress),
        )

    def _fingerprint(self, recipe: Recipe) -> str:
        left_out = sorted(
            {photo.set_name for photo in self._prepared.photos(self._prepared.left_out)}
        )
        about = [self._prepared.sha256, asdict(recipe), left_out, self._seed]
        return repr([*about, self._prepared.tags])

    def _photos(self, rows: Rows, truth: NDArray[np.float32] | None = None) -> PhotoExamples:
        labels = self._prepared.truth if truth is None else truth
        return PhotoExamples(self._prepared.pixels, labels[rows], rows)

    def _pixels(self, side: int) -> NDArray[np.uint8]:
        self._on_progress("photos for the teacher", None)
        _, pixels = pixel_store(
            self._prepared.dataset,
            self._files.work,
            height=side,
            width=side,
            max_photo_pixels=self._limits.max_photo_pixels,
            min_photo_elements=self._limits.min_photo_elements,
        )
        return pixels

    def _features(
        self, pixels: NDArray[np.uint8], body: Body, recipe: Recipe
    ) -> NDArray[np.float16]:
        def show(done: int, wanted: int) -> None:
            self._on_progress(f"view {min(done + 1, wanted)} of {wanted}", None)

        return make_features(
            pixels,
            body.network,
            self._files.work,
            views=recipe.views,
            seed=self._seed,
            fingerprint=f"{self._prepared.sha256} {recipe.preprocessing} {body.sha256}",
            on_progress=show,
        )

    def _body(self, recipe: Recipe) -> Body:
        """The frozen body, from pixels in 0..255 to one vector a photo."""
        if recipe.network in {"vgg16", "densenet121"}:
            name = "vgg16" if recipe.network == "vgg16" else "densenet121"
            found = application(name, recipe.side, recipe.side, self._files.weights)
            scaled: Any = found.network.input
            features: Any = layers.Flatten()(found.network.output)
            return Body(keras.Model(scaled, features), found.weights, found.sha256)
        if self._files.backbone is None:
            raise SetupError(
                f"the recipe {self._recipe.name} starts from a pre-trained network: name a "
                "headless Keras file with --backbone"
            )
        found = headless_file(
            self._files.backbone, recipe.side, recipe.side, sha256=self._files.backbone_sha256
        )
        pixels = keras.Input((recipe.side, recipe.side, 3))
        scaled = layers.Rescaling(1 / 128, -127 / 128)(pixels)
        network = keras.Model(pixels, pooled(found.network(scaled)))
        return Body(network, found.weights, found.sha256)

    def _ancestor(self) -> keras.Model:
        if self._files.backbone is None:
            raise SetupError("name a headless Keras file with --backbone")
        side = self._recipe.side
        return headless_file(self._files.backbone, side, side).network


@dataclass(frozen=True, slots=True)
class _Head:
    """A head on its own."""

    network: keras.Model  #: features -> what the loss is over
    judged: keras.Model  #: features -> scores
    loss: losses.Loss
    truth: NDArray[np.float32]  #: `[photos, tags]`


def _head_of(recipe: Recipe, prepared: Prepared, seen: NDArray[np.float16]) -> _Head:
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
