"""Naive Celery: a task a photo, as a first draft of a tagging service would have it.

`python -m bench.throughput.naive_celery worker PROCESSES` is its worker. Each task downloads with
`requests.get`, decodes, predicts one photo with Keras and commits one ORM object. The broker and
the database are the very ones that we use.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUntypedFunctionDecorator=false
# Celery carries no types.

import os
import sys
import time
from functools import lru_cache
from typing import Any, ClassVar, Final

import cv2
import numpy as np
import requests
from celery import Celery
from sqlalchemy import ARRAY, REAL, Engine, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bench.throughput.child import Child
from bench.throughput.contest import LIMIT_S, Measured, Stage, until
from bench.throughput.cpu import measuring
from bench.throughput.paper_way import SIDE
from shared.db.session import sqlalchemy_url

_TIMEOUT_S: Final = 60.0
_START_S: Final = 180.0
_LOOK_S: Final = 0.1
_THRESHOLD: Final = 0.5
_TASK: Final = "tag"


class _Table(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {list[float]: ARRAY(REAL())}


class Photo(_Table):
    """A tagged photo."""

    __tablename__ = "naive_photo"

    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str]
    scores: Mapped[list[float]]
    tags: Mapped[int]
    process: Mapped[int]


def naive_celery(stage: Stage, count: int) -> Measured:
    """From the first task to the last commit; processes and networks are there before.

    Raises:
        SetupError: it does not start, or photos are still under way after 10 min.
    """
    with stage.servers.fresh() as urls:
        engine = create_engine(sqlalchemy_url(urls.database_url))
        _Table.metadata.create_all(engine)
        app = _app(urls.redis_url)
        environment = {
            **stage.environment,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "DATABASE_URL": urls.database_url,
            "REDIS_URL": urls.redis_url,
            "TAGS": str(stage.tags),
        }
        command = [
            *(sys.executable, "-m", "bench.throughput.naive_celery"),
            *("worker", str(stage.cores)),
        ]
        worker = Child(command, log=stage.folder / "log", environment=environment, limit_s=LIMIT_S)
        with worker:
            warm_up = _warm_up(app, engine, stage)
            roots = {"worker": worker.pid, **stage.servers.pids, "origin": stage.origin.pid}
            with measuring(roots, memory_of="worker") as usage:
                producing = time.process_time()
                for url in stage.urls(count):
                    app.send_task(_TASK, args=[url])
                producing = time.process_time() - producing
                until(lambda: _count(engine) >= warm_up + count, "photos are still under way")
            usage.cpu_s["producer"] = producing
        app.close()
        engine.dispose()
    return Measured.of(count, 0, usage.seconds, usage)


def _warm_up(app: Celery, engine: Engine, stage: Stage) -> int:
    """Sends photos until every process has loaded its network; returns how many."""
    [url] = stage.urls(1)
    sent = 0

    def all_loaded() -> bool:
        nonlocal sent
        if _count(engine) == sent:
            with Session(engine) as session:
                query = select(func.count(Photo.process.distinct()))
                if session.execute(query).scalar_one() >= stage.cores:
                    return True
            for _ in range(4 * stage.cores):
                app.send_task(_TASK, args=[url])
                sent += 1
        return False

    until(all_loaded, f"naive Celery does not start; see {stage.folder}", _START_S)
    return sent


def _count(engine: Engine) -> int:
    time.sleep(_LOOK_S)
    with Session(engine) as session:
        return session.execute(select(func.count(Photo.id))).scalar_one()


def _app(broker: str) -> Celery:
    app = Celery("naive", broker=broker, set_as_current=False)
    app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
    return app


@lru_cache(maxsize=1)
def _network() -> Any:
    """This process's network, loaded at its first photo: TensorFlow does not survive forking."""
    from worker.network.vanilla import vanilla_cnn  # noqa: PLC0415

    return vanilla_cnn(int(os.environ["TAGS"]), SIDE, SIDE)


@lru_cache(maxsize=1)
def _engine() -> Engine:
    return create_engine(sqlalchemy_url(os.environ["DATABASE_URL"]))


def _tag(url: str) -> None:
    body = requests.get(url, timeout=_TIMEOUT_S).content
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None  # noqa: S101  # as a first draft would
    pixels = cv2.resize(picture, (SIDE, SIDE))
    [scores] = _network().predict(pixels[None], verbose=0)
    with Session(_engine()) as session:
        session.add(
            Photo(
                url=url,
                scores=scores.tolist(),
                tags=int((scores > _THRESHOLD).sum()),
                process=os.getpid(),
            )
        )
        session.commit()


def _main(processes: int) -> None:
    app = _app(os.environ["REDIS_URL"])
    app.task(_tag, name=_TASK)
    app.worker_main(
        ["worker", f"--concurrency={processes}", "--loglevel=WARNING", "--without-gossip"]
    )


if __name__ == "__main__":
    _main(int(sys.argv[2]))
