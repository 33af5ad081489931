"""Logs of every process: readable on a terminal, JSON lines everywhere else."""

import faulthandler
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import structlog

from shared.redact import redacted
from shared.settings import Settings

#: Their records of every message and every reconnect say less than ours.
_QUIET = {
    "celery.worker.strategy": logging.WARNING,
    "celery.app.trace": logging.WARNING,
    "celery.pool": logging.WARNING,
    # `worker.consumer` words what this one says with tracebacks.
    "celery.worker.consumer": logging.CRITICAL,
    "kombu": logging.WARNING,
    "alembic": logging.WARNING,
}
#: Of one record; a longer line becomes several.
_NATIVE_CHARS = 500


def configure(settings: Settings, *, role: str) -> None:
    """Sends structlog's and the standard library's records to stderr in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _role(role),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _without_secrets,
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    logging.captureWarnings(capture=True)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)


@contextmanager
def native_output() -> Generator[None]:
    """Turns what native libraries print to stderr in this block into log records.

    For start-up only: it redirects the file descriptor of the whole process.
    """
    log = structlog.get_logger()
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                log.info("native", text=line)


def divert_native_output() -> None:
    """Turns what native libraries print to stderr into log records, until the process ends.

    For a process whose stderr is its log: libjpeg and libpng print about damaged photos, and have
    no switch for it. Call it after `configure`; our own records go on to where stderr was. What a
    library says while it takes the process down is lost, so Python's own stack stands there.
    """
    ours = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(ours)  # pyright: ignore[reportUnknownMemberType]
    sys.stderr = ours
    faulthandler.enable(ours)
    reading, writing = os.pipe()
    # Whoever prints faster than this is read loses a line, and never waits: it may hold the GIL.
    os.set_blocking(writing, False)
    os.dup2(writing, 2)
    os.close(writing)
    log = structlog.get_logger()

    def read() -> None:
        with os.fdopen(reading, errors="replace") as lines:
            while line := lines.readline(_NATIVE_CHARS):
                log.info("native", text=line.rstrip())

    threading.Thread(target=read, daemon=True, name="native-output").start()


def _without_secrets(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {key: redacted(value) for key, value in event.items()}


def _role(role: str) -> structlog.typing.Processor:
    def add(_logger: Any, _method: str, event: structlog.typing.EventDict) -> Any:
        event["process"] = role
        return event

    return add
