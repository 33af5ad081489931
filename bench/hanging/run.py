"""One run: photos of which some hang, from the first event until every one is settled."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from psycopg2.extensions import connection as Connection  # noqa: N812  # a type's name

from bench.events import events
from bench.running import pipeline, rows
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers
from bench.throughput.serving import HANG
from shared.errors import SetupError

Kind = Literal["clean", "hanging"]

_HANGS: Final = f"%{HANG}"
_TIMES: Final = """
    SELECT url LIKE %s, count(*), extract(epoch FROM max(finished_at) - first)::float,
        (SELECT array_agg(extract(epoch FROM moment - first)::float) FROM unnest(
            percentile_disc(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY finished_at)) AS moment)
    FROM photo, (SELECT min(created_at) AS first FROM photo) AS start
    GROUP BY 1, first
"""
_BECAME: Final = """
    SELECT url LIKE %s, concat_ws(', ', status, error_code, lane || ' lane'), count(*)
    FROM photo GROUP BY 1, 2 ORDER BY 3 DESC, 2
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run; seconds count from when the first event was recorded."""

    kind: Kind
    healthy: int
    healthy_half_s: float  #: when half of the healthy photos were settled
    healthy_most_s: float  #: when 99 % of them were
    healthy_s: float  #: when the last of them was
    healthy_became: Mapping[str, int]  #: photos by status, error code and lane
    hanging: int
    hanging_s: float | None  #: when the last hanging photo was settled
    hanging_became: Mapping[str, int]

    @property
    def healthy_photos_per_s(self) -> float:
        """The pace of those that do not hang."""
        return self.healthy / self.healthy_s


def measure(
    kind: Kind,
    urls: Sequence[str],
    *,
    servers: Servers,
    origin: Origin,
    folder: Path,
    settings: Mapping[str, str],
    limit_s: float,
    processes: int | None = None,
) -> Run:
    """Tags these photos on a fresh database, until every one of them is settled.

    Args:
        kind: what the run is called.
        urls: a listing each.
        servers: where the fresh database is made.
        origin: where the photos are.
        folder: for logs; emptied.
        settings: `TAGGER_...` of our processes.
        limit_s: how long the run may take.
        processes: of tagging workers; one a core by default.

    Raises:
        SetupError: something does not start, or a photo is still under way after `limit_s`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with (
        servers.fresh() as places,
        pipeline(places, origin, folder, settings, processes=processes) as running,
    ):
        running.record(events(urls))
        running.until_settled(len(urls), limit_s)
        return _told(kind, running.connection)


def _told(kind: Kind, connection: Connection) -> Run:
    times = {row[0]: row[1:] for row in rows(connection, _TIMES, [_HANGS])}
    became = rows(connection, _BECAME, [_HANGS])
    if False not in times:
        raise SetupError("every photo hangs: there is no pace to measure")
    healthy, healthy_s, (half_s, most_s) = times[False]
    hanging, hanging_s, _ = times.get(True, (0, None, None))
    return Run(
        kind=kind,
        healthy=healthy,
        healthy_half_s=half_s,
        healthy_most_s=most_s,
        healthy_s=healthy_s,
        healthy_became={what: count for hangs, what, count in became if not hangs},
        hanging=hanging,
        hanging_s=hanging_s,
        hanging_became={what: count for hangs, what, count in became if hangs},
    )
