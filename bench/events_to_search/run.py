"""Listings one after another, each created, updated and deleted over HTTP and followed."""

import random
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bench.events_to_search.follower import KINDS, STEPS, Follower
from bench.latency.run import Place
from bench.running import pipeline
from bench.webhooks import Client, IntakeProcess

PERCENTILES: Final = {"p50": 50, "p95": 95, "max": 100}
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
        return {
            name: float(np.percentile(self.seconds[kind][step], percent) * 1000)
            for name, percent in PERCENTILES.items()
        }


def measure(place: Place, listings: int, *, seed: int) -> Run:
    """Follows so many listings on a fresh database, after one that does not count.

    Raises:
        SetupError: something does not start, or a step takes longer than `place.limit_s`.
    """
    shutil.rmtree(place.folder, ignore_errors=True)
    pauses = random.Random(seed)  # noqa: S311  # spreads load, no secret
    run = Run()
    with (
        place.servers.fresh() as urls,
        pipeline(
            urls, place.origin, place.folder, place.settings, processes=place.processes
        ) as running,
    ):
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
