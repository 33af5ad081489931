"""How many photos a message carries: as many as workers get to in good time (pure).

Large batches cost less a photo. But what a message names is leased, and photos that wait longer
than that are rung for again: small thumbnails may travel by the hundred, large photos may not.
"""

from collections import deque
from typing import Final

#: What few photos are spread over: smaller messages would cost more than they win.
_SPREAD: Final = 64
_FIRST: Final = 128
_FEWEST: Final = 16


class BatchSize:
    """The size of one queue's messages, led by how long they wait there."""

    def __init__(self, *, most: int, patience_s: float) -> None:
        """Starts in the middle.

        Args:
            most: photos a message may carry.
            patience_s: how long a message may wait before they get smaller.
        """
        self._fewest = min(_FEWEST, most)
        self._most = most
        self._patience_s = patience_s
        self._size = min(_FIRST, most)
        self._sent_at: deque[float] = deque()
        self._changed_at = float("-inf")

    def look(self, waiting: int, now: float) -> None:
        """Takes in how many messages wait in the queue at this moment (monotonic, seconds)."""
        while len(self._sent_at) > waiting:
            self._sent_at.popleft()
        if self._waited_s(now) > self._patience_s:
            self._change(self._size // 2, now)

    def more_is_due(self, now: float) -> None:
        """The queue is full, and not of all that is due: larger messages would be welcome."""
        # Twice the size waits twice as long.
        if self._waited_s(now) < self._patience_s / 2:
            self._change(self._size * 2, now)

    def split(self, ids: list[int], room: int, now: float) -> list[list[int]]:
        """Cuts the ids into batches, and counts these as sent.

        Few ids are spread over several messages, for several threads.

        Args:
            ids: photos that are due.
            room: messages that the queue has room for.
            now: monotonic, in seconds.
        """
        even = -(-len(ids) // max(room, 1))
        size = min(self._size, max(even, _SPREAD))
        batches = [ids[i : i + size] for i in range(0, len(ids), size)]
        self._sent_at.extend(now for _ in batches)
        return batches

    @property
    def photos(self) -> int:
        """The most that a message carries now."""
        return self._size

    def _waited_s(self, now: float) -> float:
        """How long the oldest message has waited."""
        return now - self._sent_at[0] if self._sent_at else 0.0

    def _change(self, size: int, now: float) -> None:
        # Messages of the size before say nothing of this one.
        if not self._sent_at or self._sent_at[0] >= self._changed_at:
            self._size = max(self._fewest, min(size, self._most))
            self._changed_at = now
