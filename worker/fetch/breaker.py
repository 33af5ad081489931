"""Whether a host is asked or left to rest: a circuit breaker for one host (pure).

Closed, it lets every photo through. It opens after failures in a row, or when the host names a
time itself. Once that time is over it is half-open: a photo or two are let through, an answer
closes it, and a failure opens it for twice as long. A host that has never answered is tried
like one that is half-open.

Source: M. Nygard, "Release It!", the chapter on stability patterns. All times are monotonic
seconds that the caller passes in.
"""

import math
import random
from dataclasses import dataclass, replace
from typing import Final

#: So many photos at once try a host that has not answered yet, or not since it rested.
TRIALS: Final = 2
_NEVER: Final = -math.inf
#: Who has heard from others that a host rests leaves the first try to them, for so long.
_AFTER_YOU_S: Final = (1.0, 4.0)
#: What comes back from the fleet is late by its way there and back, and nothing new.
_SAME_S: Final = 1.0
_MOST_LEVELS: Final = 32


@dataclass(frozen=True, slots=True)
class Rules:
    """When a host is left to rest, and for how long."""

    failures: int  #: in a row, of a host that has answered before; 0 never lets it rest
    rest_s: float  #: for the first time; each time after that twice as long
    max_rest_s: float
    max_told_s: float  #: where the host says itself how long


@dataclass(frozen=True, slots=True)
class Opening:
    """Why and until when a host is left alone."""

    at: float  #: when the request was begun whose failure showed it
    until: float
    level: int  #: 1 for the first time since it answered, 2 for the next, ...
    told: bool  #: by the host itself: nobody asks before, whatever others were answered
    patience_s: float  #: a photo that waits longer than this may still be lucky


class Breaker:
    """What one process knows of one host. Not safe to share between threads.

    Attributes:
        opening: while it is open or half-open.
        answered_at: when the host last answered anybody in the fleet; -inf for never.
        probes: photos under way that try the host; counted by the caller.
    """

    __slots__ = (
        "_failures", "_grace_s", "_patience_s", "_rules", "answered_at", "opening", "probes",
    )  # fmt: skip

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._failures = 0
        self._patience_s = 0.0
        self._grace_s = 0.0
        self.opening: Opening | None = None
        self.answered_at = _NEVER
        self.probes = 0

    @property
    def stranger(self) -> bool:
        """Whether the host has never answered anybody, as far as is known."""
        return self.answered_at == _NEVER

    def answer(self, now: float) -> bool:
        """The host has answered, be it with a 404; True if that closes it."""
        self.answered_at = now
        self._failures = 0
        self._patience_s = 0.0
        if self.opening is None or (self.opening.told and now < self.opening.until):
            return False
        self.opening = None
        return True

    def fail(self, now: float, *, began_at: float, waited_s: float = math.inf) -> bool:
        """A request got no answer, or one that says the host is in trouble; True if that opens it.

        A failure tells nothing if the host has answered someone since that request was begun:
        it is that photo's own.

        Args:
            now: the time.
            began_at: when the request was begun.
            waited_s: for an answer, where waiting longer might have helped.
        """
        opening = self.opening
        if began_at < self.answered_at or not self._rules.failures:
            return False
        if opening is not None and now < opening.until:
            self.opening = replace(opening, patience_s=max(opening.patience_s, waited_s))
            return False
        self._failures += 1
        self._patience_s = max(self._patience_s, waited_s)
        if self._failures < self._enough:
            return False
        level = min((opening.level if opening else 0) + 1, _MOST_LEVELS)
        rest_s = min(self._rules.max_rest_s, self._rules.rest_s * 2 ** (level - 1))
        # Processes that have seen the same should not all try it again at the same moment.
        rest_s *= random.uniform(0.8, 1)  # noqa: S311  # spreads load, no secret
        self._open(Opening(began_at, now + rest_s, level, told=False, patience_s=self._patience_s))
        return True

    def tell(self, now: float, retry_after_s: float) -> bool:
        """The host has said when it wants to be asked again; True if that opens it."""
        if not self._rules.failures:
            return False
        opening = self.opening
        until = now + min(retry_after_s, self._rules.max_told_s)
        resting = opening is not None and now < opening.until
        level = opening.level if opening else 1
        if opening is None or until > opening.until:
            self._open(Opening(now, until, level, told=True, patience_s=math.inf))
        return not resting

    def learn(self, now: float, opening: Opening | None, answered_at: float) -> bool:
        """Takes in what the fleet knows of the host; True if that opens or closes it."""
        self.answered_at = max(self.answered_at, answered_at)
        mine = self.opening
        if opening is not None and now < opening.until and self._rules.failures:
            stale = self.answered_at > opening.at and not opening.told
            if stale or (mine is not None and opening.until <= mine.until + _SAME_S):
                return False
            self._open(opening, grace_s=random.uniform(*_AFTER_YOU_S))  # noqa: S311  # as above
            return mine is None or now >= mine.until
        if mine is None or self.answered_at <= mine.at or (mine.told and now < mine.until):
            return False
        self.opening = None
        self._failures = 0
        return True

    def admits(self, now: float, patience_s: float) -> bool:
        """Whether a photo that waits so long for its answer may ask the host."""
        opening = self.opening
        if opening is None:
            return True
        if self.probes >= TRIALS:
            return False
        over = now >= opening.until + self._grace_s
        return over or (not opening.told and patience_s > opening.patience_s)

    def rest_s(self, now: float) -> float:
        """How long a photo that is not let through stays away; 0 where it may come."""
        if self.opening is None:
            return 0.0
        left_s = self.opening.until + self._grace_s - now
        # Half-open, it will be known soon how it goes on; until then nobody need ask.
        again_s = min(self.opening.until - self.opening.at, self._rules.max_rest_s)
        return left_s if left_s > 0 else again_s

    @property
    def _enough(self) -> int:
        """So many failures open it."""
        if self.opening is not None:
            return 1
        return min(TRIALS, self._rules.failures) if self.stranger else self._rules.failures

    def _open(self, opening: Opening, *, grace_s: float = 0.0) -> None:
        self.opening = opening
        self._grace_s = grace_s
        self._failures = 0
        self._patience_s = 0.0
