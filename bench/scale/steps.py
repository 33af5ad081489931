"""A photo's way through Postgres in steps, each metered: rung for, claimed, settled."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from sqlalchemy import Engine, text

from bench.running import settings_of
from dev.services import Urls
from shared.db import listings, photos
from shared.db.decisions import Decisions
from shared.db.photos import Claim, Settled
from shared.db.session import make_engine
from shared.domain.photo import Lane, Status
from shared.errors import NotFound, SetupError
from shared.settings import Settings

STEPS: Final = ("relay", "claim", "settle")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step took for some photos."""

    photos: int
    wall_s: float  #: as the caller waits for it
    server_s: float  #: CPU of the backend that does it

    @property
    def wall_us(self) -> float:
        """Microseconds a photo."""
        return self.wall_s / self.photos * 1e6

    @property
    def server_us(self) -> float:
        """Microseconds of CPU a photo."""
        return self.server_s / self.photos * 1e6


class Steps:
    """The functions that relay and workers call, on one connection to one database."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self._decisions = Decisions()
        with engine.connect() as connection:
            self._backend: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()

    def go(self, count: int, *, at_once: int, batch: int) -> dict[str, Cost]:
        """Takes so many photos through all steps; what each step cost.

        Args:
            count: photos; no more than are due.
            at_once: how many the relay takes in one round.
            batch: how many are claimed and settled together.

        Raises:
            SetupError: a step found other photos than the one before it left.
        """
        ids: list[int] = []
        batches: list[list[Claim]] = []
        settled: list[int] = []
        costs = {
            "relay": self._metered(count, lambda: ids.extend(self._ring(count, at_once))),
            "claim": self._metered(
                count,
                lambda: batches.extend(
                    self._claim(ids[start : start + batch]) for start in range(0, len(ids), batch)
                ),
            ),
            "settle": self._metered(count, lambda: settled.extend(map(self._settle, batches))),
        }
        found = (len(ids), sum(map(len, batches)), sum(settled))
        if found != (count, count, count):
            raise SetupError(f"of {count} photos {found} were rung for, claimed, settled")
        return costs

    def _ring(self, count: int, at_once: int) -> Iterator[int]:
        """As the relay does: first those that travel alone, of which there are none."""
        lease_s = self.settings.queued_lease_s
        for done in range(0, count, at_once):
            limit = min(at_once, count - done)
            with self.engine.begin() as connection:
                for alone in (True, False):
                    yield from photos.mark_queued(
                        connection, Lane.TAGGING, alone=alone, limit=limit, lease_s=lease_s
                    )

    def _claim(self, ids: Sequence[int]) -> list[Claim]:
        with self.engine.begin() as connection:
            return photos.claim(connection, ids, lease_s=self.settings.working_lease_s)

    def _settle(self, claims: Sequence[Claim]) -> int:
        """As the worker does with photos that are gone: fails and publishes them."""
        settled = [
            Settled(
                id=claim.id,
                token=claim.token,
                status=Status.FAILED,
                lane=claim.lane,
                attempt=claim.attempt,
                error_code=NotFound.code,
                error_detail="HTTP status 404",
            )
            for claim in claims
        ]
        with self.engine.begin() as connection:
            listings.lock(connection, {claim.listing_id for claim in claims})
            written = photos.settle(connection, settled)
            listings.publish(connection, {row.listing_id for row in written}, self._decisions)
        return len(written)

    def _metered(self, count: int, work: Callable[[], object]) -> Cost:
        before, started = _cpu_s(self._backend), perf_counter()
        work()
        wall_s = perf_counter() - started
        return Cost(count, wall_s, _cpu_s(self._backend) - before)


@contextmanager
def steps(urls: Urls) -> Generator[Steps]:
    """The steps on a database, over a connection of their own."""
    settings = settings_of(urls)
    engine = make_engine(settings, role="bench", connections=1)
    try:
        yield Steps(engine, settings)
    finally:
        engine.dispose()


def _cpu_s(pid: int) -> float:
    """CPU of a process so far, to the nanosecond (Linux, sched-stats.rst)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
