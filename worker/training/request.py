"""A training as it is asked for, and done in this process."""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from shared.db import training_runs
from shared.db.session import make_engine
from shared.extras import needing_extra
from shared.settings import Settings
from worker.model.artifact import Artifact
from worker.training.recipes import DEFAULT, Recipe, recipe_of

if TYPE_CHECKING:
    from worker.training.fit import Progress

log = structlog.get_logger()


class TrainingRequest(BaseModel):
    """What to train, on what, and where the artifact goes; paths of the training worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str = DEFAULT
    data: Path
    out: Path
    epochs: PositiveInt | None = None  #: left out: the recipe's
    seed: Annotated[int, Field(ge=0, le=21_000)] = 0
    leave_out: frozenset[str] = frozenset()  #: sets kept out of training and judged apart
    backbone: Path | None = None  #: a headless Keras file
    backbone_sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None
    weights: Path | None = None  #: of the paper's ImageNet networks
    paper_faithful: bool = False
    work: Path | None = None  #: keeps pixels and views for further trainings

    def chosen_recipe(self) -> Recipe:
        """The recipe, with what the request changes in it.

        Raises:
            SetupError: there is no such recipe.
        """
        recipe = recipe_of(self.recipe, paper_faithful=self.paper_faithful)
        return recipe if self.epochs is None else recipe.lasting(self.epochs)


def inline(request: TrainingRequest) -> None:
    """Trains in this process, with a progress bar."""
    with Bar(
        TextColumn("{task.fields[stage]}"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
    ) as bars:
        bar = bars.add_task("", total=request.chosen_recipe().schedule.epochs, stage="starting")

        def show(done: dict[str, Any]) -> None:
            bars.update(bar, stage=done["stage"])
            if "epoch" in done:
                loss = f"validation loss {done['validation_loss']:.4f}"
                bars.update(bar, completed=done["epoch"], total=done["epochs"], description=loss)

        artifact = perform(request, show)
    console = Console(soft_wrap=True, highlight=False)
    if artifact is None:
        console.print(f"helped; the first process writes {request.out}")
    else:
        console.print(f"{artifact.version} is in {request.out}")
        console.print(f"to register it: tagger model add {request.out}")


def enqueue(settings: Settings, request: TrainingRequest) -> None:
    """Leaves the training to a training worker."""
    request.chosen_recipe()
    engine = make_engine(settings, role="train")
    with engine.begin() as connection:
        run_id = training_runs.request(connection, request.model_dump(mode="json"))
    Console().print(f"training run {run_id} is asked for; the table training_run shows how it goes")


def quieten_tensorflow() -> None:
    """Call before TensorFlow is imported: what it tells of every start drowns what matters."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def perform(request: TrainingRequest, show: Callable[[dict[str, Any]], None]) -> Artifact | None:
    """Does what is asked for.

    Args:
        request: what is wanted.
        show: called with the stage, and in a fit with each epoch; what it raises ends the
            training.

    Returns:
        What was made; None in a process that only helped another.

    Raises:
        SetupError: the extra `train` is not installed, or the recipe lacks a file.
        TaggerError: see `worker.training.train.train`.
    """
    recipe = request.chosen_recipe()
    quieten_tensorflow()
    with needing_extra("train"):  # and seconds to import
        from worker.decode import pixels  # noqa: PLC0415
        from worker.training.train import Order, train  # noqa: PLC0415
    pixels.configure()

    def told(stage: str, progress: "Progress | None") -> None:
        show({"stage": stage, **(asdict(progress) if progress else {})})

    result = train(
        Order(
            data=request.data,
            out=request.out,
            recipe=recipe,
            seed=request.seed,
            leave_out=request.leave_out,
            backbone=request.backbone,
            backbone_sha256=request.backbone_sha256,
            weights=request.weights,
            work=request.work,
        ),
        told,
    )
    if result is None:
        return None
    for complaint in result.complaints:
        log.warning("dataset.unusable", example=complaint)
    return result.artifact
