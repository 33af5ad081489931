"""Listings one after another, each created, updated and deleted over HTTP and followed."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bench.events_to_search.follower import KINDS, STEPS, Follower
from bench.percentiles import percentiles_ms
from bench.place import Place
from bench.webhooks import Client, IntakeProcess

#: Between two listings, at random: no poll of anybody's keeps in step with them.
_PAUSE_S: Final = 0.25


@dataclass(slots=True)
class Run:
    """What one run found: seconds from an event's request to each step, by kind."""

    seconds: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: {kind: {step: list[float]() for step in STEPS} for kind in KINDS}
    )

    def note(self, kind: str, seconds: Mapping[str, float]) -> None:
        """Takes in one event."""
        for step, one_s in seconds.items():
            self.seconds[kind][step].append(one_s)

    def latency_ms(self, kind: str, step: str) -> dict[str, float]:
        """Percentiles in milliseconds."""
        return percentiles_ms(self.seconds[kind][step])


def measure(place: Place, listings: int, *, seed: int) -> Run:
    """Follows so many listings on a fresh database, after one that does not count.

    Raises:
        SetupError: something does not start, or a step takes longer than `place.limit_s`.
    """
    pauses = random.Random(seed)  # noqa: S311  # spreads load, no secret
    run = Run()
    with place.fresh() as urls, place.pipeline(urls) as running:
        intake = IntakeProcess(running.fleet)
        intake.start()
        running.fleet.start("index", "index")
        intake.until_ready()
        with Follower(urls, Client(intake), place.limit_s) as follower:
            photos = place.urls(2 * listings + 2)
            for number, pair in enumerate(zip(photos[::2], photos[1::2], strict=True)):
                for kind, seconds in follower.live(f"listing-{number:05}", pair):
                    if number:
                        run.note(kind, seconds)
                    time.sleep(pauses.uniform(0, _PAUSE_S))
    return run
