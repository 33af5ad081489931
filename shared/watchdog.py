"""Ends a process whose work has stopped moving: a hung peer leaves no other way out."""

import os
import threading
import time
import weakref
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
        threading.Thread(
            target=_watch, args=(weakref.ref(self),), daemon=True, name="watchdog"
        ).start()

    @contextmanager
    def watching(self) -> Generator[None]:
        """This thread's work, until the block ends."""
        me = threading.get_ident()
        self._started[me] = time.monotonic()
        try:
            yield
        finally:
            self._started.pop(me, None)

    def look(self) -> None:
        """Ends the process if a piece of work has outlasted the limit."""
        oldest = min([*self._started.values()], default=None)
        if oldest is not None and time.monotonic() - oldest > self._limit_s:
            log.critical("watchdog.stuck", limit_s=self._limit_s)
            os._exit(EXIT_STUCK)


def _watch(reference: "weakref.ref[Watchdog]") -> None:
    """Looks again and again, until nobody has the watchdog any more."""
    while True:
        time.sleep(_LOOK_S)
        watchdog = reference()
        if watchdog is None:
            return
        watchdog.look()
        del watchdog  # or it would be held through the sleep
