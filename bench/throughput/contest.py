"""What every contestant is given and what is wanted of it."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.throughput.cpu import Usage
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers
from dev.processes import wait_for
from shared.errors import SetupError

#: Nothing that is measured takes longer, unless it hangs.
LIMIT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a contestant works: servers, an origin, a model, a folder of its own."""

    servers: Servers
    origin: Origin
    paths: Callable[[int], Sequence[str]]  #: so many different paths at the origin
    model: Path  #: the artifact that we serve
    tags: int  #: how many tags every contestant's network scores
    folder: Path  #: for logs and files; empty
    rows: Path  #: where we leave our rows, for the limit
    cores: int
    trusted: Path | None = None  #: a bundle of authorities, where the origin speaks HTTPS
    settings: Mapping[str, str] = field(default_factory=dict[str, str])  #: of ours, beyond defaults
    photos_per_listing: int = 1  #: of ours; the others know photos alone

    def urls(self, count: int) -> list[str]:
        """So many different URLs of photos."""
        return [f"{self.origin.url}{path}" for path in self.paths(count)]

    @property
    def environment(self) -> dict[str, str]:
        """For processes that are to trust the origin's certificate."""
        if self.trusted is None:
            return {**os.environ}
        bundle = str(self.trusted.resolve())
        return {**os.environ, "SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle}


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one contestant."""

    photos: int  #: asked for
    failed: int  #: of them without tags, or without pixels where there are no tags
    seconds: float
    cpu_s: Mapping[str, float]  #: by process, with children
    largest_mb: float  #: the largest resident set of one working process
    together_mb: float  #: of all working processes at once
    grew_mb: float  #: of all of them, from the middle third of the run to the last

    @classmethod
    def of(cls, photos: int, failed: int, seconds: float, usage: Usage) -> "Measured":
        """A run out of what was counted and what was metered."""
        return cls(
            photos, failed, seconds, usage.cpu_s, usage.largest_mb, usage.together_mb, usage.grew_mb
        )

    @property
    def photos_per_s(self) -> float:
        """Photos a second, failed ones included."""
        return self.photos / self.seconds

    @property
    def cpu_s_per_1000(self) -> float:
        """CPU seconds a thousand photos, of all processes together."""
        return 1000 * sum(self.cpu_s.values()) / self.photos


#: Works on so many photos of a stage, once.
Contestant = Callable[[Stage, int], Measured]


def until(condition: Callable[[], bool], what: str, timeout_s: float = LIMIT_S) -> None:
    """Waits.

    Raises:
        SetupError: it took too long; says what was waited for.
    """
    if not wait_for(condition, timeout_s):
        raise SetupError(f"{what}: not within {timeout_s:.0f} s")


def cores() -> int:
    """How many cores this process may use (`taskset` counts)."""
    return len(os.sched_getaffinity(0))
