"""Suspects work alone: a photo that may kill this process takes no other photo with it."""

import threading
from collections.abc import Generator
from contextlib import contextmanager


class Quarantine:
    """Any number of batches together, or one suspect by itself. Suspects go first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._alone = False
        self._suspects_waiting = 0

    @contextmanager
    def together(self) -> Generator[None]:
        """Work beside others, once no suspect waits or works."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._suspects_waiting)
            self._together += 1
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Generator[None]:
        """Work beside nobody."""
        with self._changed:
            self._suspects_waiting += 1
            self._changed.wait_for(lambda: not self._alone and not self._together)
            self._suspects_waiting -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
