"""How much may be on its way at once: connections, photos and bytes of one process."""

import threading
from typing import Final

from shared.settings import PhotoLimits

#: Photos that arrived and that their callers have not yet taken.
_HELD_PHOTOS: Final = 16
_FIRST_BODY_BYTES: Final = 128 << 10


class Budget:
    """What one process may hold. `hold` is safe to call from any thread."""

    def __init__(self, settings: PhotoLimits) -> None:
        self._connections = settings.connections
        self._max_bytes = settings.max_bytes_in_flight
        self._mean_bytes = float(_FIRST_BODY_BYTES)
        self._lock = threading.Lock()
        self._held = self._held_bytes = 0

    def allows(self, on_their_way: int) -> bool:
        """Whether another transfer may start: a body that is on its way counts as a usual one."""
        expected = on_their_way * self._mean_bytes + self._held_bytes
        # One photo may always come, however large the last ones were.
        return not (on_their_way or self._held) or (
            self._held < _HELD_PHOTOS
            and on_their_way < self._connections
            and expected < self._max_bytes
        )

    def count(self, size: int) -> None:
        """A body of so many bytes has arrived."""
        self._mean_bytes += (size - self._mean_bytes) / 16

    def hold(self, photos: int, size: int) -> None:
        """So many photos more, or fewer, wait to be taken, and so many bytes."""
        with self._lock:
            self._held += photos
            self._held_bytes += size
