"""One worker process: one model, a few threads, some queues.

Run by the supervisor as `python -m worker.process QUEUES THREADS NAME SUPERVISOR_PID HOLDER`.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# Celery carries no types.

import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final

import structlog
from celery import Celery
from celery.worker import WorkController, state

from shared import logs
from shared.db.retry import transient
from shared.db.session import DATABASE_ERRORS, in_words, worded
from shared.domain.photo import TRAINING_QUEUE, Lane
from shared.errors import TaggerError
from shared.queue import Doorbell
from shared.settings import Settings, load_settings
from shared.supervisor import EXIT_SETUP, end_with
from shared.transport import Channel
from worker.consumer import Consumer
from worker.consumption import Consumption

log = structlog.get_logger()

#: How far processes stand back that have only back catalogues to look at.
_NICE: Final = 10


def main(arguments: list[str]) -> int:
    """Works until SIGTERM; the exit code says whether starting again makes sense."""
    queues, threads, name = arguments[0].split(","), int(arguments[1]), arguments[2]
    supervisor, holder = int(arguments[3]), int(arguments[4])
    try:
        settings = load_settings()
        logs.configure(settings, role=name)
        logs.divert_native_output()
        end_with(supervisor)
        app = _build(settings, queues, threads, holder)
    except TaggerError as error:
        print(f"{name}: {worded(error)}", file=sys.stderr)  # noqa: T201  # before there are logs
        return EXIT_SETUP
    except DATABASE_ERRORS as error:
        log.error("worker.no_database", error=in_words(error))  # noqa: TRY400
        return 1 if transient(error) else EXIT_SETUP
    worker = WorkController(
        app=app,
        hostname=f"{name}@{socket.gethostname()}",
        queues=queues,
        pool="threads",
        concurrency=threads,
        consumer_cls=Consumer,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    # Celery's own handlers print; this one lets running batches end, and nothing more.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_warmly)
    log.info("worker.ready", queues=queues, threads=threads)
    Consumption(
        waiting=_waiting(Doorbell(app, settings), queues),
        taken=lambda: Channel.entries_taken,
        busy=lambda: bool(state.reserved_requests) or state.should_stop is not None,
        stuck_after_s=settings.stuck_after_s,
    ).watch()
    worker.start()
    log.info("worker.stopped")
    return int(worker.exitcode or 0)


def _waiting(doorbell: Doorbell, queues: list[str]) -> Callable[[], int]:
    return lambda: sum(doorbell.depth(queue) for queue in queues)


def _stop_warmly(_number: int, _frame: FrameType | None) -> None:
    state.should_stop = os.EX_OK


def _build(settings: Settings, queues: list[str], threads: int, holder: int) -> Celery:
    def stopping() -> bool:
        return state.should_stop is not None

    # Each kind of worker loads only what it needs: TensorFlow here, LiteRT there.
    if TRAINING_QUEUE in queues:
        from worker.training.app import training_app  # noqa: PLC0415

        return training_app(settings, stopping=stopping)
    from worker.app import tagging_app  # noqa: PLC0415

    if queues == [Lane.BACKFILL]:
        os.nice(_NICE)
    return tagging_app(settings, threads=threads, holder=holder, stopping=stopping)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
