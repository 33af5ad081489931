"""`tagger worker` and `tagger train`."""

import os
import secrets
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
from pydantic import ValidationError

from shared import logs
from shared.domain.photo import TRAINING_QUEUE, Lane
from shared.errors import SetupError
from shared.settings import load_settings
from shared.supervisor import EXIT_SETUP, Supervisor
from worker.training.recipes import DEFAULT, RECIPES

log = structlog.get_logger()

_QUEUES = [*Lane, TRAINING_QUEUE]


def worker(
    queues: Annotated[
        str | None,
        typer.Option(help=f"Comma-separated, looked at in this order: {', '.join(_QUEUES)}."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; one a core by default.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Batches at once in a process.")] = 8,
) -> None:
    """Tag photos until stopped: new ones, back catalogues with what CPU those leave, slow hosts'.

    Each of the first two has --processes of its own, slow hosts have one. With --queues, all
    processes look at those queues only; `--queues training` trains models.
    """
    settings = load_settings()
    logs.configure(settings, role="supervisor")
    count = processes or os.cpu_count() or 1
    if queues is None:
        # Apart, since a new photo would wait for a free thread among batches of a back catalogue.
        lanes = [Lane.TAGGING] * count + [Lane.BACKFILL] * count + [Lane.SLOW]
        layout = [
            (str(lane), f"{lane}-{lanes[:n].count(lane) + 1}") for n, lane in enumerate(lanes)
        ]
    else:
        names = [name.strip() for name in queues.split(",")]
        if unknown := set(names) - set(_QUEUES):
            raise SetupError(
                f"no queue is called {', '.join(sorted(unknown))}; there are {', '.join(_QUEUES)}"
            )
        if TRAINING_QUEUE in names and len(names) > 1:
            raise SetupError("a training worker serves no other queue")
        if TRAINING_QUEUE in names:
            count, threads = processes or 1, 1
        layout = [(",".join(names), f"{names[0]}-{n + 1}") for n in range(count)]
    if TRAINING_QUEUE not in layout[0][0] and settings.is_anonymous:
        log.warning("worker.anonymous", hint="set TAGGER_OPERATOR to a URL or mail address")
    supervisor = Supervisor(
        [
            [
                sys.executable,
                *("-m", "worker.process", its_queues, str(threads), name, str(os.getpid())),
                # The same at each start: what a process that died held is known by it.
                str(secrets.randbits(62)),
            ]
            for its_queues, name in layout
        ],
        # As long as a batch may take; downloads are left after `stop_grace_s`.
        grace_s=settings.stop_grace_s + settings.working_lease_s,
        hopeless=EXIT_SETUP,
    )
    raise typer.Exit(supervisor.run())


def train(
    data: Annotated[Path, typer.Option(help="Folder with labels and photos, or with shards.")],
    out: Annotated[Path, typer.Option(help="Folder for the model artifact.")],
    recipe: Annotated[str, typer.Option(help=f"One of: {', '.join(RECIPES)}.")] = DEFAULT,
    epochs: Annotated[int | None, typer.Option(min=1, help="The recipe's by default.")] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=21_000, help="Splits, shuffles and initial weights.")
    ] = 0,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(help="A set to keep out of training and judge apart; may be repeated."),
    ] = None,
    backbone: Annotated[
        Path | None, typer.Option(help="A pre-trained headless Keras file (.keras).")
    ] = None,
    backbone_sha256: Annotated[
        str | None, typer.Option(help="What the backbone's hash must be, in hex.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="ImageNet weights of paper-vgg16 or paper-densenet, if brought along."),
    ] = None,
    paper_faithful: Annotated[
        bool,
        typer.Option("--paper-faithful", help="As the notebooks: split by image, BGR, bilinear."),
    ] = False,
    work: Annotated[
        Path | None,
        typer.Option(help="Keep pixels and views here, for further trainings on these photos."),
    ] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Let a training worker do it, and return at once.")
    ] = False,
) -> None:
    """Train a model on labelled photos and write its artifact. Needs the extra `train`."""
    # It knows the tables and the model, which most commands never need.
    from worker.training import request as requests  # noqa: PLC0415

    def absolute(path: Path | None) -> Path | None:
        return path.resolve() if path else None

    try:
        request = requests.TrainingRequest(
            recipe=recipe,
            data=data.resolve(),
            out=out.resolve(),
            epochs=epochs,
            seed=seed,
            leave_out=frozenset(leave_out or ()),
            backbone=absolute(backbone),
            backbone_sha256=backbone_sha256,
            weights=absolute(weights),
            paper_faithful=paper_faithful,
            work=absolute(work),
        )
    except ValidationError as error:
        raise SetupError(f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}") from None
    if queue:
        requests.enqueue(load_settings(), request)
    else:
        requests.inline(request)
