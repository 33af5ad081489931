"""When photos that are sent back come again: one after another, not all at once (pure)."""

import random
from typing import Final

MOST_S: Final = 3600.0
_JITTER: Final = 0.1


class Returns:
    """Hands out times to come again, so many a second. All times are seconds."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0.0

    def next_s(self, now: float, *, earliest_s: float, per_s: float) -> float:
        """How long the next photo stays away: at least `earliest_s`, about an hour at most.

        Args:
            now: monotonic.
            earliest_s: before that, nobody is to come.
            per_s: photos that may come a second, from then on.
        """
        self._last = min(max(self._last + 1 / per_s, now + earliest_s), now + MOST_S)
        # Other processes send photos of the same host back, from the same moment on.
        jitter_s = random.uniform(0, _JITTER) * earliest_s  # noqa: S311  # spreads load, no secret
        return max(self._last - now, earliest_s) + jitter_s

    def forget(self) -> None:
        """What was handed out no longer counts: whoever comes next may come at once."""
        self._last = 0.0
