"""Composition root of a tagging worker: settings, database, models, Celery application."""

from collections.abc import Callable

import structlog
from celery import Celery
from sqlalchemy import Engine

from shared import logs
from shared.db import models, photos
from shared.db.retry import retrying
from shared.db.session import make_engine
from shared.errors import ArtifactError
from shared.queue import make_app
from shared.settings import DEFAULT_MODEL, Settings
from worker.decode import pixels
from worker.fetch.notices import NoticeBoard
from worker.memory import MemoryWatch
from worker.model.registry import register
from worker.model.store import Kept, ModelStore
from worker.pipeline import Pipeline
from worker.served import Lineup, ServedModel, serve
from worker.stopping import Stopping
from worker.tasks import add_tagging

log = structlog.get_logger()

#: How long a process that starts waits for Postgres before it leaves that to its supervisor.
_PATIENCE_S = 300.0


def tagging_app(
    settings: Settings, *, threads: int, holder: int, stopping: Callable[[], bool]
) -> Celery:
    """The application of one worker process, with its model loaded.

    Args:
        settings: where the servers are, and all limits.
        threads: batches at once.
        holder: what photos that this process claims are marked with, and those of the processes
            before it that it replaces.
        stopping: whether the process was asked to end.

    Raises:
        ArtifactError: the model in `settings.model_dir` is refused, or the one that ships.
        SQLAlchemyError: Postgres cannot be reached.
    """
    pixels.configure()
    # A thread holds one connection at a time, and one more looks for other models.
    engine = make_engine(settings, role="worker", connections=threads + 1)
    store = ModelStore(settings)
    pinned = settings.model_dir is not None
    model = retrying(lambda: _first(engine, store, settings), for_s=_PATIENCE_S)
    retrying(lambda: _take_back(engine, holder), for_s=_PATIENCE_S)
    lineup = Lineup(
        engine, store, model, pinned=pinned, refused_pause_s=settings.model_refused_pause_s
    )
    log.info("model.loaded", version=model.version, tags=len(model.tag_ids), pinned=pinned)
    lineup.look()
    lineup.watch(settings.model_poll_s)
    app = make_app(settings)
    MemoryWatch(recycle_bytes=settings.recycle_process_bytes, max_bytes=settings.max_process_bytes)
    pipeline = Pipeline(
        engine,
        lineup,
        settings,
        NoticeBoard(settings),
        holder=holder,
        stopping=Stopping(stopping, grace_s=settings.stop_grace_s),
    )
    add_tagging(app, pipeline.tag)
    return app


def _take_back(engine: Engine, holder: int) -> None:
    """What the process before this one held is due again now, and not at its leases' end."""
    with engine.begin() as connection:
        held = photos.take_back(connection, holder)
    if held:
        log.warning("worker.took_back", photos=held)


def _first(engine: Engine, store: ModelStore, settings: Settings) -> ServedModel:
    """What serves from the start: the pinned model, else the champion, else what ships.

    Where no model is champion yet, the pinned one or the one that ships becomes it.
    """
    kept = _keep(store, settings)
    with engine.begin() as connection:
        own_id = register(connection, kept.artifact, champion=True, kept=kept)
        champion, _ = models.in_service(connection)
        own = models.by_id(connection, own_id)
    with engine.connect() as connection:
        if settings.model_dir is None and champion is not None and champion.id != own_id:
            if own.status == "candidate":
                log.info(
                    "model.candidate",
                    version=own.version,
                    champion=champion.version,
                    hint=f"this release ships it; `tagger model promote {own.version}`",
                )
            try:
                artifact = store.open_registered(champion)
                with logs.native_output():
                    return serve(connection, champion.id, artifact)
            except ArtifactError as error:
                log.error(  # noqa: TRY400  # its words say it all
                    "model.refused",
                    version=champion.version,
                    reason=str(error),
                    still_serving=own.version,
                )
        with logs.native_output():
            return serve(connection, own_id, kept.artifact)


def _keep(store: ModelStore, settings: Settings) -> Kept:
    folder = settings.model_dir or DEFAULT_MODEL
    own = store.in_place(folder)
    try:
        return store.keep(folder)
    except ArtifactError as error:
        # The release after this one ships another model, and would not find this one again.
        log.warning("model.not_stored", reason=str(error), hint="set TAGGER_MODEL_STORE")
        return own
