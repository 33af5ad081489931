"""All runs over one kind of photos from one origin, and what follows from them."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bench.throughput.contest import Measured
from bench.throughput.limit import Limit

OURS: Final = "ours"


@dataclass(frozen=True, slots=True)
class Scene:
    """Runs by contestant, and the limit, round by round."""

    name: str
    runs: dict[str, list[Measured]] = field(default_factory=dict[str, list[Measured]])
    limits: list[Limit] = field(default_factory=list[Limit])

    def median(self, contestant: str, of: Callable[[Measured], float]) -> float:
        """The median over a contestant's rounds."""
        return statistics.median(map(of, self.runs[contestant]))

    @property
    def limit_us(self) -> dict[str, float]:
        """Microseconds of CPU a photo, by stage: medians over the rounds."""
        stages = self.limits[0].us_per_photo if self.limits else ()
        return {
            stage: statistics.median(limit.us_per_photo[stage] for limit in self.limits)
            for stage in stages
        }

    @property
    def limit_photos_per_s(self) -> float | None:
        """What the cores could do if they did nothing but those stages."""
        us = sum(self.limit_us.values())
        return self.limits[0].cores * 1e6 / us if us else None

    @property
    def share(self) -> float | None:
        """How much of the limit we reach, 0..1 and hardly more."""
        limit = self.limit_photos_per_s
        return self.median(OURS, photos_per_s) / limit if limit and OURS in self.runs else None

    def ratio(self, contestant: str, of: Callable[[Measured], float]) -> float | None:
        """Our median over a contestant's; None for ourselves."""
        if contestant == OURS or OURS not in self.runs:
            return None
        theirs = self.median(contestant, of)
        return self.median(OURS, of) / theirs if theirs else None


def photos_per_s(run: Measured) -> float:
    """For medians."""
    return run.photos_per_s


def cpu_s_per_1000(run: Measured) -> float:
    """For medians."""
    return run.cpu_s_per_1000
