"""Whether a host is asked or left to rest: a circuit breaker for one host (pure).

Closed, it lets every photo through. It opens after failures in a row, for the time that they
all named, if they did. Once that time is over it is half-open: a photo or two are let through,
an answer closes it, and a failure opens it for twice as long. A host that has never answered is
tried like one that is half-open.

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
#: What comes from the fleet is late by its way there and back: so much later is no later.
SAME_S: Final = 1.0
MOST_LEVELS: Final = 32


@dataclass(frozen=True, slots=True)
class Rules:
    """When a host is left to rest, and for how long."""

    failures: int  #: in a row, of a host that has answered before; 0 never lets it rest
    rest_s: float  #: for the first time; each time after that twice as long
    max_rest_s: float
    max_named_s: float  #: where the host says itself how long


@dataclass(frozen=True, slots=True)
class Opening:
    """Why and until when a host is left alone."""

    at: float  #: when the request was begun whose failure showed it
    until: float
    level: int  #: 1 for the first time since it answered, 2 for the next, ...
    patience_s: float  #: a photo that waits longer than this may still be lucky


class Breaker:
    """What one process knows of one host. Not safe to share between threads.

    What others say is worth less than what this process sees: it may be its own machine that is
    cut off, or nobody of the fleet that speaks. So their answers end no rest that it began
    itself, but let it try; and of their rests it takes one, and the next once it has tried.

    Attributes:
        opening: while it is open or half-open.
        answered_at: when the host last answered anybody in the fleet; -inf for never.
        answered_us_at: when it last answered this process.
        probes: photos under way that try the host; counted by the caller.
    """

    __slots__ = (
        "_answers", "_failures", "_grace_s", "_heard", "_named_s", "_named_until", "_own",
        "_patience_s", "_rules", "answered_at", "answered_us_at", "opening", "probes",
    )  # fmt: skip

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._grace_s = 0.0
        self._named_until = _NEVER  # the host itself wants to be left alone
        self._answers = 0  # since it opened
        self._own = False  # this process saw it fail, and has not been answered since
        self._heard = False  # it rests on others' word, and has not been tried since
        self.opening: Opening | None = None
        self.answered_at = self.answered_us_at = _NEVER
        self.probes = 0
        self._begin_count()

    @property
    def stranger(self) -> bool:
        """Whether the host has never answered anybody, as far as is known."""
        return self.answered_at == _NEVER

    def answer(self, now: float) -> bool:
        """The host has answered, be it with a 404; True if that closes it.

        Where it has named a time, one answer may have been on its way before that; several say
        that the time was not meant for everybody.
        """
        self.answered_at = self.answered_us_at = now
        self._begin_count()
        if self.opening is None:
            return False
        self._answers += 1
        if now < self._named_until and self._answers < self._rules.failures:
            return False
        self._close()
        return True

    def fail(
        self, now: float, *, began_at: float, waited_s: float = math.inf, named_s: float = 0
    ) -> bool:
        """A request got no answer, or one that says the host is in trouble; True if that opens it.

        A failure tells nothing if the host has answered this process since that request was
        begun: it is that photo's own.

        Args:
            now: the time.
            began_at: when the request was begun.
            waited_s: for an answer, where waiting longer might have helped.
            named_s: after which the host wants to be asked again, where it said so; it rests for
                the shortest time that the failures in a row named.
        """
        opening = self.opening
        if began_at < self.answered_us_at or not self._rules.failures:
            return False
        self._failures += 1
        if opening is not None and now < opening.until:
            self.opening = replace(opening, patience_s=max(opening.patience_s, waited_s))
            self._own = self._own or self._failures >= self._rules.failures
            return False
        self._patience_s = max(self._patience_s, waited_s)
        self._named_s = min(self._named_s, named_s)
        if self._failures < self._enough:
            return False
        level = min((opening.level if opening else 0) + 1, MOST_LEVELS)
        rest_s = min(self._rules.max_rest_s, self._rules.rest_s * 2 ** (level - 1))
        # Processes that have seen the same should not all try it again at the same moment.
        rest_s *= random.uniform(0.8, 1)  # noqa: S311  # spreads load, no secret
        named_s = min(self._named_s, self._rules.max_named_s)
        # At first it is taken at its word; later only where that is longer.
        if named_s > rest_s or (named_s and level == 1):
            rest_s = named_s
            self._named_until = now + named_s
        self._open(Opening(began_at, now + rest_s, level, self._patience_s))
        self._own, self._heard = True, False
        self._begin_count()
        return True

    def learn(self, now: float, opening: Opening | None, answered_at: float) -> bool:
        """Takes in what the fleet knows of the host; True if that opens or closes it."""
        self.answered_at = max(self.answered_at, answered_at)
        mine = self.opening
        if opening is not None and now < opening.until and self._rules.failures:
            stale = self.answered_at > opening.at + SAME_S
            if stale or self._heard or (mine and opening.until <= mine.until + SAME_S):
                return False
            self._open(opening, grace_s=random.uniform(*_AFTER_YOU_S))  # noqa: S311  # as above
            self._heard = True
            return mine is None or now >= mine.until
        if mine is None or self.answered_at <= mine.at + SAME_S:
            return False
        if not self._own:
            self._close()
            return True
        # Its own failure was the last it saw of the host: it looks again, but not all the time.
        if now >= max(self._named_until, mine.at + self._rules.rest_s):
            self.opening = replace(mine, until=min(mine.until, now))
            self._grace_s = 0.0
        return False

    def admits(self, now: float, patience_s: float) -> bool:
        """Whether a photo that waits so long for its answer may ask the host."""
        opening = self.opening
        if opening is None:
            return True
        if self.probes >= TRIALS:
            return False
        return now >= opening.until + self._grace_s or patience_s > opening.patience_s

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
        self._answers = 0

    def _close(self) -> None:
        self.opening = None
        self._named_until = _NEVER
        self._own = self._heard = False

    def _begin_count(self) -> None:
        self._failures = 0
        self._patience_s = 0.0
        self._named_s = math.inf
