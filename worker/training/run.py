"""A training, run here and now or by a training worker, and its model made known."""

import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from shared.db import training_runs
from shared.db.retry import retrying, transient
from shared.db.session import make_engine
from shared.db.training_runs import TrainingClaim
from shared.errors import SetupError, TaggerError
from shared.settings import Settings
from worker.model.artifact import Artifact
from worker.model.registry import register

log = structlog.get_logger()

#: Renewed by heartbeats, so that a worker that was lost is noticed this late.
_LEASE_S = 120.0
_BEAT_S = 20.0
#: How long the end of a run is written again while Postgres is away; the lease lives on.
_PATIENCE_S = 600.0


class TrainingRequest(BaseModel):
    """What to train on, and where the artifact goes; folders of the training worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path
    out: Path
    epochs: PositiveInt
    seed: Annotated[int, Field(ge=0, le=21_000)] = 0
    leave_out: frozenset[str] = frozenset()  #: sets kept out of training and judged apart


def inline(request: TrainingRequest) -> None:
    """Trains in this process, with a progress bar."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=console,
    ) as progress:
        bar = progress.add_task("reading photos", total=request.epochs)

        def show(done: dict[str, Any]) -> None:
            loss = f"validation loss {done['validation_loss']:.4f}"
            progress.update(bar, completed=done["epoch"], description=loss)

        artifact = _train(request, show)
    Console().print(f"{artifact.version} is in {request.out}", highlight=False)


def enqueue(settings: Settings, request: TrainingRequest) -> None:
    """Leaves the training to a training worker."""
    engine = make_engine(settings, role="train")
    with engine.begin() as connection:
        run_id = training_runs.request(connection, request.model_dump(mode="json"))
    Console().print(f"training run {run_id} is asked for; the table training_run shows how it goes")


class TrainingWorker:
    """Does the runs that messages name, one at a time."""

    def __init__(self, engine: Engine, stopping: Callable[[], bool]) -> None:
        """Does nothing yet.

        Args:
            engine: where the runs are.
            stopping: whether this process was asked to stop; asked after every epoch.
        """
        self._engine = engine
        self._stopping = stopping

    def train(self, ids: list[int]) -> None:
        """Does a run, unless it is done or another worker's; its row always says how it ended."""
        for run_id in ids:
            with self._engine.begin() as connection:
                held = training_runs.claim(connection, run_id, lease_s=_LEASE_S)
            if held is not None:
                self._run(held)

    def _run(self, held: TrainingClaim) -> None:
        log.info("training.started", run=held.id, attempt=held.attempt, request=held.request)
        with _Heartbeat(self._engine, held, self._stopping) as heartbeat:
            try:
                request = TrainingRequest.model_validate(held.request)
                artifact = _train(request, heartbeat.show)
            except _RunLost:
                log.warning("training.lost", run=held.id)
                return
            except _Stopping:
                retrying(lambda: self._release(held), for_s=_PATIENCE_S)
                log.info("training.handed_back", run=held.id)
                return
            except Exception as error:
                log.exception("training.failed", run=held.id)
                code, detail = _described(error)
                retrying(lambda: self._fail(held, code, detail), for_s=_PATIENCE_S)
                return
            kept = retrying(lambda: self._succeed(held, artifact), for_s=_PATIENCE_S)
        log.info("training.done", run=held.id, model=artifact.version, kept=kept)

    def _release(self, held: TrainingClaim) -> None:
        with self._engine.begin() as connection:
            training_runs.release(connection, held)

    def _fail(self, held: TrainingClaim, code: str, detail: str) -> None:
        with self._engine.begin() as connection:
            training_runs.finish(connection, held, error_code=code, error_detail=detail)

    def _succeed(self, held: TrainingClaim, artifact: Artifact) -> bool:
        with self._engine.begin() as connection:
            model_id = register(connection, artifact, champion=False)
            kept = training_runs.finish(connection, held, model_id=model_id)
            if not kept:
                connection.rollback()  # the run is another's, and so is the model to register
        return kept


def _described(error: Exception) -> tuple[str, str]:
    """The code and the words of a failed training."""
    if isinstance(error, TaggerError):
        return error.code, str(error)[:2000]
    if isinstance(error, ValidationError):
        return "bad_request", str(error)[:2000]
    return "unexpected", f"{type(error).__name__}; the training worker's log says more"


class _RunLost(Exception):
    """The lease ran out and another worker has the run."""


class _Stopping(Exception):
    """This process was asked to stop; its checkpoint lets another go on."""


class _Heartbeat:
    """Renews a run's lease from a thread of its own: an epoch may outlast the lease."""

    def __init__(self, engine: Engine, held: TrainingClaim, stopping: Callable[[], bool]) -> None:
        self._engine = engine
        self._held = held
        self._stopping = stopping
        self._progress: dict[str, Any] = {"stage": "reading photos"}
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def show(self, progress: dict[str, Any]) -> None:
        """Remembers how far the training is, for the next beat, and beats now.

        Raises:
            _RunLost: there is no point in going on.
            _Stopping: this process is to end.
        """
        self._progress = {"stage": "training", **progress}
        self._renew()
        if self._lost:
            raise _RunLost
        if self._stopping():
            raise _Stopping

    def _beat(self) -> None:
        while not self._stop.wait(_BEAT_S):
            self._renew()

    def _renew(self) -> None:
        try:
            with self._engine.begin() as connection:
                self._lost = not training_runs.heartbeat(
                    connection, self._held, self._progress, lease_s=_LEASE_S
                )
        except DBAPIError as error:
            if not transient(error):
                raise
            # Postgres is away; if it stays away, the lease ends and the run goes on elsewhere.
            log.warning("training.no_heartbeat", run=self._held.id)


def _train(request: TrainingRequest, show: Callable[[dict[str, Any]], None]) -> Artifact:
    try:
        # TensorFlow takes seconds to import, and is only there with the extra.
        from worker.decode import pixels  # noqa: PLC0415
        from worker.training.train import train  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SetupError(
            f'{error.name} is missing: install the extra `train` (pip install -e ".[train]")'
        ) from None
    pixels.configure()
    result = train(
        request.data,
        request.out,
        epochs=request.epochs,
        seed=request.seed,
        leave_out=request.leave_out,
        on_progress=lambda progress: show(asdict(progress)),
    )
    for complaint in result.complaints:
        log.warning("dataset.unusable", example=complaint)
    return result.artifact
