"""Which event is offered when: of a listing with one photo each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bench.events import event
from bench.latency.arrivals import arrivals, offer
from bench.latency.producer import Producer
from bench.running import Pipeline, published
from bench.throughput.contest import until

#: Until the first event is due, once all lines are made; and for making a line.
_HEAD_START_S: Final = 0.5
_LINE_S: Final = 20e-6
_START_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """How events come, each of a listing with one photo."""

    per_s: float
    seconds: float  #: that count
    warm_up_s: float  #: before them
    even: bool  #: evenly spaced; else a Poisson process
    seed: int

    def moments(self) -> list[float]:
        """When each is due, in seconds from the start of the warm-up on."""
        whole_s = self.warm_up_s + self.seconds
        return arrivals(self.per_s, whole_s, even=self.even, seed=self.seed)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Lines for `tagger produce`; all times are seconds since 1970."""

    start: float  #: of the warm-up
    due_at: list[float]  #: when each line is due, ascending
    lines: list[bytes]


def scheduled(moments: Sequence[float], urls: Sequence[str]) -> Schedule:
    """An event of each photo at its moment, from now on."""
    start = time.time() + _HEAD_START_S + len(urls) * _LINE_S
    due_at = [start + moment for moment in moments]
    lines = [
        _line(number, url, datetime.fromtimestamp(due, UTC))
        for number, (url, due) in enumerate(zip(urls, due_at, strict=True))
    ]
    return Schedule(start, due_at, lines)


def wake(running: Pipeline, producer: Producer, number: int, url: str) -> None:
    """Waits until one photo has come through: everything is up then. Its event is long ago.

    Raises:
        SetupError: it does not.
    """
    offer([_line(number, url, datetime.fromtimestamp(0, UTC))], [0.0], producer.events)
    until(lambda: published(running.connection) > 0, "no photo is tagged", _START_S)


def _line(number: int, url: str, occurred_at: datetime) -> bytes:
    return f"{event(number, [url], occurred_at)}\n".encode()
