"""Ends a process whose work has stopped moving: a hung peer leaves no other way out."""

import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import structlog

log = structlog.get_logger()

#: sysexits.h EX_TEMPFAIL: starting it again is right.
EXIT_STUCK = 75
_LOOK_S = 1.0


class Watchdog:
    """Watches pieces of work, each in a thread; one that outlasts its limit ends the process.

    What the process held goes back by its leases.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._started: dict[int, float] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")
        self._thread.start()

    @contextmanager
    def watching(self) -> Generator[None]:
        """This thread's work, until the block ends."""
        me = threading.get_ident()
        self._started[me] = time.monotonic()
        try:
            yield
        finally:
            self._started.pop(me, None)

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            oldest = min([*self._started.values()], default=None)
            if oldest is not None and time.monotonic() - oldest > self._limit_s:
                log.critical("watchdog.stuck", limit_s=self._limit_s)
                os._exit(EXIT_STUCK)
