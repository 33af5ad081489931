"""`tagger worker` and `tagger train`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from shared import logs
from shared.domain.photo import TRAINING_QUEUE, Lane
from shared.errors import SetupError
from shared.settings import load_settings
from worker.process import EXIT_SETUP
from worker.supervisor import Supervisor

_QUEUES = [*Lane, TRAINING_QUEUE]


def worker(
    queues: Annotated[
        str | None,
        typer.Option(help=f"Comma-separated, looked at in this order: {', '.join(_QUEUES)}."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; one a core by default.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Batches at once in a process.")] = 4,
) -> None:
    """Tag photos until stopped: workers for new photos and back catalogues, and one for slow hosts.

    With --queues, all processes look at those queues only; `--queues training` trains models.
    """
    settings = load_settings()
    logs.configure(settings, role="supervisor")
    count = processes or os.cpu_count() or 1
    if queues is None:
        layout = [(f"{Lane.TAGGING},{Lane.BACKFILL}", f"tagging-{n + 1}") for n in range(count)]
        layout.append((Lane.SLOW, "slow-1"))
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
    supervisor = Supervisor(
        [
            [
                sys.executable,
                *("-m", "worker.process", its_queues, str(threads), name, str(os.getpid())),
            ]
            for its_queues, name in layout
        ],
        # As long as a batch of the slow lane may take, with Postgres away at its end.
        grace_s=2 * settings.slow_fetch_deadline_s + settings.working_lease_s / 2,
        hopeless=EXIT_SETUP,
    )
    raise typer.Exit(supervisor.run())


def train(
    data: Annotated[Path, typer.Option(help="Folder with labels.jsonl.gz and photos/.")],
    out: Annotated[Path, typer.Option(help="Folder for the model artifact.")],
    epochs: Annotated[int, typer.Option(min=1, help="The shipped model took 140.")] = 140,
    seed: Annotated[
        int, typer.Option(min=0, max=21_000, help="Splits, shuffles and initial weights.")
    ] = 0,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(help="A set to keep out of training and judge apart; may be repeated."),
    ] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Let a training worker do it, and return at once.")
    ] = False,
) -> None:
    """Train a model on labelled photos and write its artifact. Needs the extra `train`."""
    # TensorFlow takes seconds to import, and most commands never need it.
    from worker.training import run  # noqa: PLC0415

    request = run.TrainingRequest(
        data=data.resolve(),
        out=out.resolve(),
        epochs=epochs,
        seed=seed,
        leave_out=frozenset(leave_out or ()),
    )
    if queue:
        run.enqueue(load_settings(), request)
    else:
        run.inline(request)
