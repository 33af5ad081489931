"""One worker process: one model, a few threads, some queues.

Run by the supervisor as `python -m worker.process QUEUES THREADS NAME SUPERVISOR_PID`.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# Celery carries no types.

import os
import signal
import socket
import sys
import threading
import time
from types import FrameType

import structlog
from celery import Celery
from celery.worker import WorkController, state
from sqlalchemy.exc import DBAPIError

from shared import logs
from shared.db.retry import transient
from shared.db.session import in_words
from shared.domain.photo import TRAINING_QUEUE
from shared.errors import TaggerError
from shared.settings import Settings, load_settings

log = structlog.get_logger()

#: sysexits.h EX_CONFIG: starting it again cannot help.
EXIT_SETUP = 78


def main(arguments: list[str]) -> int:
    """Works until SIGTERM; the exit code says whether starting again makes sense."""
    queues, threads, name = arguments[0].split(","), int(arguments[1]), arguments[2]
    supervisor = int(arguments[3])
    try:
        settings = load_settings()
        logs.configure(settings, role=name)
        logs.divert_native_output()
        _end_with(supervisor)
        app = _build(settings, queues, threads)
    except TaggerError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201  # before there are logs
        return EXIT_SETUP
    except DBAPIError as error:
        log.error("worker.no_database", error=in_words(error))  # noqa: TRY400
        return 1 if transient(error) else EXIT_SETUP
    worker = WorkController(
        app=app,
        hostname=f"{name}@{socket.gethostname()}",
        queues=queues,
        pool="threads",
        concurrency=threads,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    # Celery's own handlers print; this one lets running batches end, and nothing more.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_warmly)
    log.info("worker.ready", queues=queues, threads=threads)
    worker.start()
    log.info("worker.stopped")
    return int(worker.exitcode or 0)


def _stop_warmly(_number: int, _frame: FrameType | None) -> None:
    state.should_stop = os.EX_OK


def _build(settings: Settings, queues: list[str], threads: int) -> Celery:
    # Each kind of worker loads only what it needs: TensorFlow here, LiteRT there.
    if TRAINING_QUEUE in queues:
        from worker.training.app import training_app  # noqa: PLC0415

        return training_app(settings, stopping=lambda: state.should_stop is not None)
    from worker.app import tagging_app  # noqa: PLC0415

    return tagging_app(settings, threads=threads)


def _end_with(supervisor: int) -> None:
    """Stops this process, warmly, when its supervisor has died."""

    def watch() -> None:
        while os.getppid() == supervisor:
            time.sleep(1)
        log.warning("worker.orphaned")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="orphan-watch").start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
