"""The gate of one host in one process: whether, how many at once and how often it is asked."""

import math
from dataclasses import dataclass
from typing import Final

from shared.settings import PhotoLimits
from worker.fetch.breaker import TRIALS, Breaker, Rules
from worker.fetch.returns import Returns

#: So many photos of one host come again a second, at most, to all processes together: in front of
#: a host that is down for long there may be any number of them, and other hosts' wait behind them.
_RETURNS_PER_S: Final = 100.0
#: Starts may be so late and still count for their second: the queue is looked at that often.
_BURST_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for each host."""

    rules: Rules
    connections: int  #: of this process
    fleet_connections: int | None  #: of all processes together
    fleet_photos_per_s: float | None  #: of all processes together

    @classmethod
    def of(cls, settings: PhotoLimits, *, resting: bool) -> "Limits":
        """From the settings; without `resting`, no host is ever left alone."""
        return cls(
            Rules(
                failures=settings.host_failures if resting else 0,
                rest_s=settings.host_rest_s,
                max_rest_s=settings.host_rest_max_s,
                max_named_s=settings.retry_after_max_s,
            ),
            settings.connections_per_host,
            settings.fleet_connections_per_host,
            settings.host_photos_per_s,
        )


class Gate:
    """One host. Not safe to share between threads.

    Attributes:
        host: scheme, name and port.
        breaker: whether it is asked at all.
        connections: of this process to it.
        processes: of the fleet that have work for it, this one included.
        reason: the code of what it rests for; empty if others saw it.
        used_at: when a photo of it last came by (monotonic).
    """

    __slots__ = (
        "_begun_at", "_latency_s", "_limits", "_returns",
        "breaker", "connections", "host", "processes", "reason", "used_at",
    )  # fmt: skip

    def __init__(self, host: str, limits: Limits, *, processes: int) -> None:
        self.host = host
        self.breaker = Breaker(limits.rules)
        self.connections = 0
        self.processes = processes
        self.reason = ""
        self.used_at = 0.0
        self._limits = limits
        self._returns = Returns()
        self._begun_at = -math.inf
        self._latency_s = 0.0

    @property
    def free(self) -> bool:
        """Whether another of its connections may be used."""
        most = self._limits.connections
        if self._limits.fleet_connections is not None:
            most = min(most, self._share)
        return self.connections < (min(most, TRIALS) if self.breaker.stranger else most)

    @property
    def rationed(self) -> bool:
        """Whether its photos wait because of us, and not for a host that is slow."""
        if self.breaker.stranger:
            return self._limits.connections > TRIALS
        return self._limits.fleet_photos_per_s is not None or (
            self._limits.fleet_connections is not None and self._share < self._limits.connections
        )

    def ready(self, now: float) -> bool:
        """Whether it is time to ask it again."""
        return now >= self._begun_at + self._interval_s

    def begin(self, now: float) -> None:
        """A connection is in use from now on."""
        self.connections += 1
        # As if it had been in time, so that what is late by a little is made up for.
        self._begun_at = max(self._begun_at + self._interval_s, now - _BURST_S)

    def answer(self, now: float, latency_s: float) -> bool:
        """It has answered after so long; True if that ends its rest."""
        self._latency_s += (latency_s - self._latency_s) / 16
        closes = self.breaker.answer(now)
        if closes:
            self._returns.forget()
        return closes

    def moving(self, now: float, within_s: float) -> bool:
        """Whether it has answered lately."""
        return now - self.breaker.answered_at <= within_s

    def back_s(self, now: float) -> float:
        """How long a photo that does not get through stays away: each has its own time."""
        per_s = min(_RETURNS_PER_S, self._limits.fleet_photos_per_s or _RETURNS_PER_S)
        per_s /= self.processes
        if self._limits.fleet_connections is not None and self._latency_s:
            per_s = min(per_s, self._share / self._latency_s)
        earliest_s = max(self.breaker.rest_s(now), self._limits.rules.rest_s)
        return self._returns.next_s(now, earliest_s=earliest_s, per_s=per_s)

    @property
    def _interval_s(self) -> float:
        """Between two photos: by the processes that there are by now, not when it last began."""
        per_s = self._limits.fleet_photos_per_s
        return self.processes / per_s if per_s is not None else 0.0

    @property
    def _share(self) -> int:
        """This process's share of the fleet's connections to it."""
        fleet = self._limits.fleet_connections or self._limits.connections
        return max(1, fleet // self.processes)
