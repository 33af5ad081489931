"""Where the runs of a benchmark happen."""

import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.running import Pipeline, pipeline
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers
from dev.services import Urls


@dataclass(frozen=True, slots=True)
class Place:
    """Servers, photos and settings, for one run after the other."""

    servers: Servers
    origin: Origin
    paths: Callable[[int], Sequence[str]]  #: so many different paths of photos at the origin
    folder: Path  #: for logs; emptied for each run
    settings: Mapping[str, str]  #: `TAGGER_...` of our processes
    limit_s: float  #: how long the last photo of a run may take
    processes: int | None = None  #: of tagging workers; one a core by default

    def urls(self, count: int) -> list[str]:
        """So many different URLs of photos."""
        return [f"{self.origin.url}{path}" for path in self.paths(count)]

    @contextmanager
    def fresh(self) -> Generator[Urls]:
        """An empty database, an empty Valkey, and no logs of the run before."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with self.servers.fresh() as urls:
            yield urls

    @contextmanager
    def pipeline(self, urls: Urls) -> Generator[Pipeline]:
        """Relay and workers; see `bench.running.pipeline`."""
        with pipeline(
            urls, self.origin, self.folder, self.settings, processes=self.processes
        ) as running:
            yield running
