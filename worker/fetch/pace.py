"""How fast photos come in, and from which hosts (pure)."""

from collections.abc import Mapping
from typing import Final

#: A host that answered within this time is moving: what waits for it will come.
_MOVING_S: Final = 1.0
_SMOOTHING: Final = 0.5


class Pace:
    """Answers counted by host, and their rate. Not safe to share between threads.

    Attributes:
        per_s: answers a second, smoothed over the last looks.
    """

    def __init__(self) -> None:
        self.per_s = 0.0
        self._answered: set[str] = set()  # since the last look
        self._answered_at: dict[str, float] = {}
        self._answers = 0
        self._at: float | None = None

    def count(self, host: str) -> None:
        """A host has answered, whatever its answer."""
        self._answered.add(host)
        self._answers += 1

    def look(self, now: float) -> None:
        """Takes the answers since the last look into the rate; `now` is monotonic, in seconds."""
        self._answered_at.update(dict.fromkeys(self._answered, now))
        self._answered.clear()
        self._answered_at = {
            host: at for host, at in self._answered_at.items() if now - at < _MOVING_S
        }
        if self._at is not None and now > self._at:
            self.per_s += (self._answers / (now - self._at) - self.per_s) * _SMOOTHING
        self._at, self._answers = now, 0

    def moving(self, waiting: Mapping[str, int]) -> int:
        """How many of the photos that wait, by host, wait for hosts that answer."""
        return sum(photos for host, photos in waiting.items() if host in self._answered_at)
