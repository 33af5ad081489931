"""The whole pipeline on the first photos of a backlog: relay, workers, a loopback origin."""

import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import psycopg2

from bench.running import pipeline, rows
from bench.scale.backlog import fill, vacuum
from bench.throughput.cpu import measuring
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers
from shared.errors import SetupError

_LOOK_S: Final = 0.25
#: From when the first of them are settled, so that nobody's start counts.
_PACE: Final = """
    SELECT extract(epoch FROM last - first)::float,
        (SELECT count(*) FROM photo WHERE id <= %(photos)s AND finished_at > first),
        (SELECT count(*) FROM photo WHERE finished_at IS NOT NULL)
    FROM (SELECT min(finished_at) AS first, max(finished_at) AS last
        FROM photo WHERE id <= %(photos)s) AS span
"""
_BECAME: Final = """
    SELECT concat_ws(', ', status, error_code), count(*) FROM photo WHERE id <= %(photos)s
    GROUP BY 1 ORDER BY 2 DESC
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the first photos were settled."""

    backlog: int  #: due photos behind them
    photos: int  #: settled within `seconds`
    seconds: float  #: from the first settled batch to the last
    became: Mapping[str, int]  #: the first photos, by status and error code
    cpu_ms: Mapping[str, float]  #: milliseconds of CPU a photo, by process

    @property
    def photos_per_s(self) -> float:
        """Photos a second."""
        return self.photos / self.seconds


def measure_pace(
    photos: int,
    backlog: int,
    *,
    servers: Servers,
    origin: Origin,
    files: int,
    folder: Path,
    settings: Mapping[str, str],
    vacuumed: bool,
    limit_s: float,
    processes: int | None = None,
) -> Pace:
    """Tags the first photos of a backlog on a fresh database.

    Args:
        photos: how many are waited for.
        backlog: how many are due behind them.
        servers: where the fresh database is made.
        origin: where all of them are.
        files: how many different files it has.
        folder: for logs; emptied.
        settings: `TAGGER_...` of our processes.
        vacuumed: whether the tables are, before it starts.
        limit_s: how long it may take.
        processes: of tagging workers; one a core by default.

    Raises:
        SetupError: something does not start, or it takes too long.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with servers.fresh() as urls:
        with closing(psycopg2.connect(urls.database_url)) as connection:
            connection.autocommit = True
            fill(connection, photos + backlog, origin.url, files)
            if vacuumed:
                vacuum(connection)
        with pipeline(urls, origin, folder, settings, processes=processes, relay=False) as running:
            pids = {**running.pids("worker"), **servers.pids, "origin": origin.pid}
            with measuring(pids, memory_of="worker") as usage:
                running.start_relay()
                deadline = monotonic() + limit_s
                while _unfinished(running.connection, photos):
                    if monotonic() > deadline:
                        raise SetupError(f"not settled within {limit_s:.0f} s")
                    sleep(_LOOK_S)
            [(seconds, after_first, settled)] = rows(running.connection, _PACE, {"photos": photos})
            became = dict(rows(running.connection, _BECAME, {"photos": photos}))
    if not after_first:
        raise SetupError("all were settled at once: measure with more photos")
    return Pace(
        backlog=backlog,
        photos=after_first,
        seconds=seconds,
        became=became,
        cpu_ms={name: cpu_s / settled * 1000 for name, cpu_s in usage.cpu_s.items()},
    )


def _unfinished(connection: psycopg2.extensions.connection, photos: int) -> int:
    query = "SELECT count(*) FROM photo WHERE id <= %s AND finished_at IS NULL"
    [(count,)] = rows(connection, query, [photos])
    return int(count)
