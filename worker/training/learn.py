"""From a recipe and prepared photos to a trained network."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from worker.network import compact, heads
from worker.network.body import headless_file
from worker.network.vanilla import vanilla_cnn
from worker.training import losses
from worker.training.pretrained import Pretrained
from worker.training.recipes import Recipe, recipe_of
from worker.training.trainer import Learned, Trainer


def learn(recipe: Recipe, trainer: Trainer) -> Learned:
    """Trains, or goes on where a killed training stopped.

    Args:
        recipe: what to train.
        trainer: on what, and how far it got.

    Raises:
        SetupError: a file that the recipe needs is missing or refused.
        DatasetError: the disk is full or fails.
        TrainingDiverged: the loss is not a number any more.
    """
    keras.utils.set_random_seed(trainer.seed)
    match recipe.network:
        case "vanilla":
            return _from_pixels(recipe, trainer)
        case "compact":
            return _distilled(recipe, trainer)
        case _:
            return Pretrained(trainer, recipe, trainer.prepared.pixels).learn().learned


def _from_pixels(recipe: Recipe, trainer: Trainer) -> Learned:
    def build() -> keras.Model:
        return vanilla_cnn(len(trainer.prepared.tags), recipe.side, recipe.side)

    return _fitted(recipe, trainer, build, trainer.prepared.truth, {})


def _distilled(recipe: Recipe, trainer: Trainer) -> Learned:
    """A small network learns the labels as a large one sees them (Hinton et al. 2015)."""
    files, side = trainer.files, recipe.side
    ancestor = headless_file(files.backbone_file(), side, side, sha256=files.backbone_sha256)
    teacher = recipe_of("backbone")
    trainer.on_progress("photos for the teacher", None)
    taught = Pretrained(trainer, teacher, trainer.pixels(teacher.side)).learn()
    trainer.on_progress("asking the teacher", None)
    share = recipe.soft_targets
    softened = (1 - share) * trainer.prepared.truth + share * taught.scores()

    def build() -> keras.Model:
        network = compact.compact_body(side, side)
        compact.inherit(network, ancestor.network)
        return keras.Model(network.input, heads.flat(network.output, trainer.prepared.tags))

    about = {f"teacher_{name}": value for name, value in taught.learned.described.items()}
    return _fitted(recipe, trainer, build, softened.astype(np.float32), about)


def _fitted(
    recipe: Recipe,
    trainer: Trainer,
    build: Callable[[], keras.Model],
    truth: NDArray[np.float32],
    about: Mapping[str, Any],
) -> Learned:
    """Fits a network as a whole, on photos as they are needed."""
    prepared = trainer.prepared
    network = trainer.in_scope(build)
    fitted = trainer.fit(
        network,
        network,
        losses.cross_entropy,
        trainer.photos(prepared.pixels, truth, prepared.train, trainer.shares(recipe)),
        trainer.photos(prepared.pixels, prepared.truth, prepared.validation),
        stage="network",
        recipe=recipe,
        schedule=recipe.schedule,
    )
    serves = build()
    serves.set_weights(network.get_weights())
    return Learned(serves, fitted, about)
