"""Composition root of a tagging worker: settings, database, model, Celery application."""

import structlog
from celery import Celery

from shared import logs
from shared.db import models
from shared.db.session import make_engine
from shared.queue import make_app
from shared.settings import Settings
from worker.decode import pixels
from worker.model import artifact
from worker.model.registry import decision_of, register
from worker.model.tagger import Tagger
from worker.pipeline import Pipeline, ServedModel
from worker.tasks import add_tagging

log = structlog.get_logger()


def tagging_app(settings: Settings, *, threads: int) -> Celery:
    """The application of one worker process, with its model loaded.

    Raises:
        ArtifactError: the model in `settings.model_dir` is refused.
        SQLAlchemyError: Postgres cannot be reached.
    """
    pixels.configure()
    loaded = artifact.load(settings.model_dir)
    decision = decision_of(loaded)
    size = loaded.manifest.input
    with logs.native_output():
        tagger = Tagger(loaded)
    # A thread holds one connection at a time.
    engine = make_engine(settings, role="worker", connections=threads)
    with engine.begin() as connection:
        model_id = register(connection, loaded, champion=True)
        tag_ids = models.tag_ids(connection, decision.vocabulary)
    served = ServedModel(
        tagger=tagger,
        decision=decision,
        model_id=model_id,
        tag_ids=tag_ids,
        input_height=size.height,
        input_width=size.width,
    )
    log.info("model.loaded", version=loaded.version, tags=len(decision.vocabulary))
    app = make_app(settings)
    add_tagging(app, Pipeline(engine, served, settings).tag)
    return app
