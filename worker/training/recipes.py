"""The recipes: each a small definition of what is trained, on what, and how."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from shared.errors import SetupError
from worker.decode.pixels import BGR_BILINEAR, RGB_AREA
from worker.training.schedule import Schedule

Network = Literal["vanilla", "vgg16", "densenet121", "compact", "backbone", "path", "path_rnn"]
Thresholds = Literal["single", "hamming"]

#: The recipe of the shipped model.
DEFAULT: Final = "compact"


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the end of a pre-trained body is fitted with its head, once the head is."""

    layers: int  #: the last ones with weights, batch normalisations not counted
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Recipe:
    """What, besides the photos and the seed, decides a training."""

    name: str
    network: Network
    side: int  #: of the square photo that the network takes, in pixels
    schedule: Schedule  #: of the network, or of the head on a frozen body
    tuning: Tuning | None = None  #: of a body that does not stay frozen
    balanced: bool = False  #: photos without tags, where few, are drawn more often
    thresholds: Thresholds = "single"
    preprocessing: str = RGB_AREA
    split: Literal["product", "image"] = "product"
    views: int = 0  #: augmented views of each photo that the body sees; for what has one
    soft_targets: float = 0.0  #: share of the teacher's scores in the targets

    def lasting(self, epochs: int) -> "Recipe":
        """The recipe with another number of epochs."""
        return replace(self, schedule=replace(self.schedule, epochs=epochs))


_PAPER: Final = Recipe(
    name="paper-vanilla",
    network="vanilla",
    side=35,
    schedule=Schedule(epochs=250, batch_photos=512, learning_rate=5e-4, patience=8),
)

_BACKBONE: Final = Recipe(
    name="backbone",
    network="backbone",
    side=224,
    schedule=Schedule(epochs=40, batch_photos=256, learning_rate=1e-2, annealed=True),
    tuning=Tuning(
        layers=4,
        schedule=Schedule(
            epochs=3, batch_photos=32, learning_rate=1e-4, annealed=True, augmented=True
        ),
    ),
    balanced=True,
    thresholds="hamming",
    views=1,
)

RECIPES: Final[dict[str, Recipe]] = {
    recipe.name: recipe
    for recipe in (
        _PAPER,
        replace(_PAPER, name="paper-vgg16", network="vgg16").lasting(75),
        replace(_PAPER, name="paper-densenet", network="densenet121").lasting(75),
        Recipe(
            name="compact",
            network="compact",
            side=48,
            schedule=Schedule(
                epochs=30,
                batch_photos=64,
                learning_rate=1e-3,
                annealed=True,
                weight_decay=0.02,
                augmented=True,
            ),
            balanced=True,
            thresholds="hamming",
            soft_targets=0.7,
        ),
        _BACKBONE,
        replace(_BACKBONE, name="path", network="path"),
        replace(_BACKBONE, name="path-rnn", network="path_rnn"),
    )
}


def recipe_of(name: str, *, paper_faithful: bool = False) -> Recipe:
    """The recipe of this name.

    Args:
        name: one of `RECIPES`.
        paper_faithful: as the authors' notebooks ran it in every respect: split by image, BGR
            pixels resized bilinearly and left at 0..255.

    Raises:
        SetupError: there is no such recipe, or it is none of the paper's.
    """
    found = RECIPES.get(name)
    if found is None:
        raise SetupError(f"no recipe is called {name}; there are {', '.join(RECIPES)}")
    if not paper_faithful:
        return found
    if not name.startswith("paper-"):
        raise SetupError(f"--paper-faithful is for the paper's recipes, and {name} is none")
    return replace(
        found,
        preprocessing=BGR_BILINEAR,
        split="image",
        schedule=replace(found.schedule, patience=None),
    )
