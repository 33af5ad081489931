"""A training worker: does the runs that messages name, and makes their models known."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import structlog
from pydantic import ValidationError
from sqlalchemy import Engine

from shared.db import training_runs
from shared.db.retry import retrying, transient
from shared.db.session import DATABASE_ERRORS
from shared.db.training_runs import TrainingClaim
from shared.errors import SetupError, TaggerError
from worker.model.registry import register
from worker.model.store import Kept, ModelStore
from worker.training.request import TrainingRequest, perform

log = structlog.get_logger()

#: How long the end of a run is written again while Postgres is away; the lease lives on.
_PATIENCE_S = 600.0


class TrainingWorker:
    """Does the runs that messages name, one at a time."""

    def __init__(
        self, engine: Engine, store: ModelStore, stopping: Callable[[], bool], *, lease_s: float
    ) -> None:
        """Does nothing yet.

        Args:
            engine: where the runs are.
            store: takes the artifacts that are made.
            stopping: whether this process was asked to stop; asked after every epoch.
            lease_s: renewed by heartbeats; so late is it noticed that this process is lost.

        Raises:
            SetupError: the process is one of several that are to train one network together.
        """
        if os.environ.get("TF_CONFIG"):
            raise SetupError("unset TF_CONFIG: it is for `tagger train` without --queue")
        self._engine = engine
        self._store = store
        self._stopping = stopping
        self._lease_s = lease_s

    def train(self, ids: list[int]) -> None:
        """Does a run, unless it is done or another worker's; its row always says how it ended."""
        for run_id in ids:
            with self._engine.begin() as connection:
                held = training_runs.claim(connection, run_id, lease_s=self._lease_s)
            if held is not None:
                self._run(held)

    def _run(self, held: TrainingClaim) -> None:
        log.info("training.started", run=held.id, attempt=held.attempt, request=held.request)
        with _Heartbeat(self._engine, held, self._stopping, self._lease_s) as heartbeat:
            try:
                request = TrainingRequest.model_validate(held.request)
                perform(request, heartbeat.show)
                # Into the store, where workers find it if it is promoted.
                kept = self._store.keep(request.out)
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
            done = retrying(lambda: self._succeed(held, kept), for_s=_PATIENCE_S)
        log.info("training.done", run=held.id, model=kept.artifact.version, kept=done)

    def _release(self, held: TrainingClaim) -> None:
        with self._engine.begin() as connection:
            training_runs.release(connection, held)

    def _fail(self, held: TrainingClaim, code: str, detail: str) -> None:
        with self._engine.begin() as connection:
            training_runs.finish(connection, held, error_code=code, error_detail=detail)

    def _succeed(self, held: TrainingClaim, kept: Kept) -> bool:
        with self._engine.begin() as connection:
            model_id = register(connection, kept.artifact, kept=kept)
            done = training_runs.finish(connection, held, model_id=model_id)
            if not done:
                connection.rollback()  # the run is another's, and so is the model to register
        return done


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

    def __init__(
        self,
        engine: Engine,
        held: TrainingClaim,
        stopping: Callable[[], bool],
        lease_s: float,
    ) -> None:
        self._engine = engine
        self._lease_s = lease_s
        self._held = held
        self._stopping = stopping
        self._progress: dict[str, Any] = {"stage": "reading photos"}
        self._lost = False
        self._lease_ends = time.monotonic() + lease_s
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
        self._progress = progress
        self._renew()
        if self._lost:
            raise _RunLost
        if self._stopping():
            raise _Stopping

    def _beat(self) -> None:
        while not self._stop.wait(self._lease_s / 6):
            self._renew()

    def _renew(self) -> None:
        began = time.monotonic()
        try:
            with self._engine.begin() as connection:
                self._lost = not training_runs.heartbeat(
                    connection, self._held, self._progress, lease_s=self._lease_s
                )
            self._lease_ends = began + self._lease_s
        except DATABASE_ERRORS as error:
            if not transient(error):
                raise
            # Postgres is away; if it stays away, the lease ends and the run goes on elsewhere.
            self._lost = time.monotonic() > self._lease_ends
            log.warning("training.no_heartbeat", run=self._held.id)
