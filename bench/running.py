"""Relay and workers on a database of their own, ready before anything is measured."""

import re
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  # a type's name

from bench.throughput.contest import LIMIT_S, cores, until
from bench.throughput.origin import Origin
from dev.fleet import Fleet
from dev.processes import children
from dev.services import Urls
from shared.errors import SetupError
from shared.settings import Settings

_START_S = 120.0
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The processes, and a connection to their database that commits each statement."""

    fleet: Fleet
    connection: Connection

    def start_relay(self) -> None:
        """Starts the relay, and waits until it listens."""
        self.fleet.start("relay", "relay")
        self._until("relay", lambda log: '"relay.listening"' in log)

    def record(self, lines: Iterable[str]) -> None:
        """Hands these events to `tagger produce`, and waits until all are recorded.

        Raises:
            SetupError: it does not end well.
        """
        text = "".join(f"{line}\n" for line in lines)
        done = self.fleet.run("produce", "-", stdin=text.encode(), timeout_s=LIMIT_S)
        if done.returncode:
            raise SetupError(f"tagger produce: {done.stderr.decode()[-1000:]}")

    def pids(self, *names: str) -> dict[str, int]:
        """The processes of these names, as `bench.throughput.cpu.measuring` takes them."""
        return {name: self.fleet.pid(name) for name in names}

    def until_workers_are_ready(self) -> None:
        """Waits for every process that the supervisor has started."""
        supervisor = self.fleet.pid("worker")
        self._until(
            "worker", lambda log: log.count('"worker.ready"') >= len(children(supervisor)) > 0
        )

    def until_settled(self, photos: int, limit_s: float) -> None:
        """Waits until so many listings of one photo each have it tagged or failed.

        Raises:
            SetupError: it took too long; says where the others stand.
        """
        deadline = time.monotonic() + limit_s
        while published(self.connection) < photos or unsettled(self.connection):
            if time.monotonic() > deadline:
                [(found,)] = rows(self.connection, "SELECT count(*) FROM photo")
                left = unsettled(self.connection)
                raise SetupError(
                    f"{found} photos of {photos} after {limit_s:.0f} s, and not settled: {left}"
                )
            time.sleep(_LOOK_S)

    def _until(self, name: str, ready: Callable[[str], bool]) -> None:
        def look() -> bool:
            if (code := self.fleet.exit_code(name)) is not None:
                raise SetupError(f"tagger {name}: exit code {code}; see {self.fleet.folder}")
            return ready(self.fleet.log(name))

        until(look, f"tagger {name} is not ready; see {self.fleet.folder}", _START_S)


@contextmanager
def pipeline(
    urls: Urls,
    origin: Origin,
    folder: Path,
    settings: Mapping[str, str] | None = None,
    *,
    processes: int | None = None,
    relay: bool = True,
) -> Generator[Pipeline]:
    """Starts workers and relay, and stops them at the end.

    Args:
        urls: a migrated database, and an empty Valkey.
        origin: where photos may come from.
        folder: for the logs.
        settings: `TAGGER_...`, beyond what the origin needs.
        processes: of tagging workers; one a core by default.
        relay: whether to start it at once; else by `start_relay`.

    Raises:
        SetupError: something does not start.
    """
    needed = {
        "TAGGER_ALLOW_PRIVATE_HOSTS": "true",
        "TAGGER_ALLOWED_PORTS": origin.url.rpartition(":")[2],
        "TAGGER_LOG_FORMAT": "json",
        "TAGGER_MODEL_STORE": str((folder / "models").resolve()),
    }
    with (
        Fleet(urls, folder, {**needed, **(settings or {})}) as fleet,
        closing(psycopg2.connect(urls.database_url)) as connection,
    ):
        connection.autocommit = True
        running = Pipeline(fleet, connection)
        fleet.start("worker", "worker", "--processes", str(processes or cores()))
        if relay:
            running.start_relay()
        running.until_workers_are_ready()
        yield running


def rows(
    connection: Connection,
    query: str,
    values: Sequence[object] | Mapping[str, object] | None = None,
) -> list[tuple[Any, ...]]:
    """What a query finds."""
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def published(connection: Connection) -> int:
    """How many documents are in the feed: listings of one photo have one once it is settled.

    One row to read, where looking for photos that are not finished would read most of them.
    """
    [(position,)] = rows(connection, "SELECT position FROM feed_head")
    return int(position)


def unsettled(connection: Connection) -> dict[str, int]:
    """Photos that are neither tagged nor failed, by status; empty once all are."""
    query = """
        SELECT status, count(*) FROM photo WHERE status IN ('pending', 'queued', 'working')
        GROUP BY 1
    """
    return dict(rows(connection, query))


def settings_of(urls: Urls) -> Settings:
    """The settings of a process with these servers."""
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        DATABASE_URL=urls.database_url,  # pyright: ignore[reportCallIssue]
        REDIS_URL=urls.redis_url,  # pyright: ignore[reportCallIssue]
    )


def as_settings(words: Sequence[str]) -> dict[str, str]:
    """`TAGGER_NAME=VALUE` words as settings.

    Raises:
        SetupError: one of them is none.
    """
    if wrong := [word for word in words if not re.fullmatch(r"TAGGER_[A-Z_]+=.*", word)]:
        raise SetupError(f"{wrong[0]} is not TAGGER_NAME=VALUE")
    return dict(word.split("=", 1) for word in words)
