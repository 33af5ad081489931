"""Composition root of a training worker: it trains, and serves nothing."""

import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Final

from celery import Celery

from shared import logs
from shared.db.session import make_engine
from shared.domain.message import TRAIN
from shared.queue import make_app
from shared.settings import Settings
from worker.model.store import ModelStore
from worker.tasks import add_task
from worker.training.request import quieten_tensorflow
from worker.training.run import TrainingWorker

_NICE: Final = 10


def training_app(settings: Settings, stopping: Callable[[], bool]) -> Celery:
    """The application of a training worker; `stopping` says when it was asked to end."""
    # Tagging comes first where both share a machine.
    os.nice(_NICE)
    quieten_tensorflow()
    # Some of what it prints while it is imported, nothing keeps it from. Where it is missing, the
    # row of each run says so.
    with logs.native_output(), suppress(ModuleNotFoundError):
        import_module("tensorflow")
    app = make_app(settings)
    engine = make_engine(settings, role="training", connections=3)
    worker = TrainingWorker(
        engine, ModelStore(settings), stopping, lease_s=settings.training_lease_s
    )
    add_task(app, TRAIN, worker.train)
    return app
