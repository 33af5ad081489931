"""Ends a worker process that takes nothing although messages wait for it.

Whatever the cause, a consumer that is wedged looks the same from outside: messages wait, nothing
is in work, and none is taken. A consumer that is well takes a waiting message at once.
"""

import os
import threading
import time
from collections.abc import Callable

import structlog

from shared.queue import BrokerError
from shared.watchdog import EXIT_STUCK

log = structlog.get_logger()

_LOOK_S = 1.0


class Consumption:
    """Looks at one process's queues and at what it takes from them."""

    def __init__(
        self,
        *,
        waiting: Callable[[], int],
        taken: Callable[[], int],
        busy: Callable[[], bool],
        stuck_after_s: float,
    ) -> None:
        """Does nothing yet.

        Args:
            waiting: how many messages wait in the process's queues; may raise `BrokerError`, and
                must not hang.
            taken: how many entries of queues the process has taken since its start, those that it
                rejected included.
            busy: whether it works on any, for however long.
            stuck_after_s: how long all this may stay as it is.
        """
        self._waiting = waiting
        self._taken = taken
        self._busy = busy
        # Looks and not seconds: a process that was itself suspended has not been stuck.
        self._looks_left = self._most_looks = max(1, round(stuck_after_s / _LOOK_S))
        self._last_taken = -1

    def watch(self) -> None:
        """Looks from now on, from a thread that ends with the process."""

        def run() -> None:
            while True:
                time.sleep(_LOOK_S)
                if self.look():
                    log.critical("worker.stuck", looks=self._most_looks)
                    os._exit(EXIT_STUCK)

        threading.Thread(target=run, daemon=True, name="consumption").start()

    def look(self) -> bool:
        """Whether the process counts as stuck after this look."""
        taken = self._taken()
        moved = taken != self._last_taken or self._busy()
        self._last_taken = taken
        if moved or not self._any_waits():
            self._looks_left = self._most_looks
        else:
            self._looks_left -= 1
        return self._looks_left <= 0

    def _any_waits(self) -> bool:
        try:
            return self._waiting() > 0
        except BrokerError:
            return False  # nobody could take anything now
