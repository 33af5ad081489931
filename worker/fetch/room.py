"""Lets in as many photos as will be started soon, so that none is claimed long before."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

#: So many may always wait: fewer would leave connections idle between two batches.
_ALWAYS_PHOTOS: Final = 64


class Room:
    """Photos that were let in and not yet started, and how many of them there may be."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = 0
        self._waiting = 0
        self._most = float(_ALWAYS_PHOTOS)
        self._busy = False

    @contextmanager
    def hold(self, photos: int, timeout_s: float) -> Generator[bool]:
        """Waits for room, at most so long, and keeps it for so many photos in the block.

        Yields whether they may come: not where this process is too busy for those it has. Where
        it is hosts that are slow, others should not wait for them longer than that.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self.full, timeout_s) and self._busy:
                photos = 0
            self._held += photos
        try:
            yield photos > 0
        finally:
            with self._changed:
                self._held -= photos
                self._changed.notify_all()

    def enter(self, photos: int) -> None:
        """So many photos wait from now on, until `look` says otherwise."""
        with self._changed:
            self._waiting += photos

    def look(self, waiting: int, most: float, *, busy: bool) -> None:
        """So many photos wait at this moment, about so many may, and whether for our own limits."""
        with self._changed:
            self._waiting, self._most, self._busy = waiting, max(most, _ALWAYS_PHOTOS), busy
            self._changed.notify_all()

    @property
    def full(self) -> bool:
        """Whether nobody is let in."""
        return self._waiting + self._held > self._most
