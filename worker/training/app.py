"""Composition root of a training worker: it trains, and serves nothing."""

from collections.abc import Callable

from celery import Celery

from shared.db.session import make_engine
from shared.domain.message import TRAIN
from shared.queue import make_app
from shared.settings import Settings
from worker.model.store import ModelStore
from worker.tasks import add_task
from worker.training.run import TrainingWorker


def training_app(settings: Settings, stopping: Callable[[], bool]) -> Celery:
    """The application of a training worker; `stopping` says when it was asked to end."""
    app = make_app(settings)
    engine = make_engine(settings, role="training", connections=3)
    worker = TrainingWorker(
        engine, ModelStore(settings), stopping, lease_s=settings.training_lease_s
    )
    add_task(app, TRAIN, worker.train)
    return app
