"""Statements tried again while Postgres is away, restarts or breaks a deadlock."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.db.session import DATABASE_ERRORS, in_words

log = structlog.get_logger()

T = TypeVar("T")

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


def transient(error: DBAPIError | PoolTimeout) -> bool:
    """Whether the same statement may do better later: it was not itself at fault."""
    return not isinstance(error, DataError | IntegrityError | ProgrammingError)


def retrying(transaction: Callable[[], T], *, for_s: float) -> T:
    """What a transaction returns, tried for up to `for_s` seconds.

    Args:
        transaction: opens, does and commits all of it; doing it twice must do no harm, since
            a connection may break after the commit and before its answer.
        for_s: how long; after it, or for an error that time does not mend, the error is raised.
    """
    end = time.monotonic() + for_s
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return transaction()
        except DATABASE_ERRORS as error:
            if not transient(error) or time.monotonic() + pause_s > end:
                raise
            log.warning("database.again", reason=in_words(error), pause_s=pause_s)
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
