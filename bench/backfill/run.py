"""One run: new listings come at a steady pace, with or without a back catalogue to be tagged."""

import csv
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.latency.arrivals import offer
from bench.latency.producer import producing
from bench.latency.schedule import Load, scheduled, wake
from bench.percentiles import percentiles_ms
from bench.place import Place
from bench.running import Pipeline, rows
from bench.throughput.contest import LIMIT_S, until
from dev.services import Urls
from shared.errors import SetupError

#: New listings are told from the catalogue's by their names.
_CATALOGUE: Final = "catalogue-"
_NEW: Final = """
    SELECT status, lane, extract(epoch FROM occurred_at)::float,
        extract(epoch FROM finished_at)::float
    FROM photo JOIN listing ON listing.id = listing_id
    WHERE external_id LIKE 'listing-%%' AND occurred_at >= %s
"""
_UNDER_WAY: Final = """
    SELECT count(*) FROM listing WHERE external_id LIKE 'listing-%%' AND (
        doc_version = 0 OR EXISTS (SELECT FROM photo WHERE listing_id = listing.id
            AND status IN ('pending', 'queued', 'working')))
"""
_BACKFILLED: Final = """
    SELECT count(*) FROM photo
    WHERE lane = 'backfill' AND finished_at >= to_timestamp(%s) AND finished_at < to_timestamp(%s)
"""
_LEFT: Final = """
    SELECT count(*) FROM photo
    WHERE lane = 'backfill' AND status IN ('pending', 'queued', 'working')
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run found."""

    backlog: int  #: photos of the catalogue; 0 without one
    photos: int  #: new ones that count: those due after the warm-up
    became: Mapping[str, int]  #: of these, by status
    slow: int  #: of these that went to the slow lane
    late_ms: float  #: by how much an event was written late, at most
    latency_ms: Mapping[str, float]  #: from when an event was due to its tag, by percentile
    backfill_per_s: float | None  #: photos of the catalogue tagged a second meanwhile
    backfill_left: int  #: of the catalogue, once the last new photo was tagged


def measure(load: Load, place: Place, *, backlog: int) -> Run:
    """Offers new listings on a fresh database, and waits until all of them are settled.

    Args:
        load: how they come.
        place: where; new photos and the catalogue's are at the same host, as a marketplace's are.
        backlog: photos of a back catalogue that is recorded before them; 0 for none.

    Raises:
        SetupError: something does not start, a photo is under way for too long, or the catalogue
            was done before the last new photo.
    """
    with place.fresh() as urls:
        return _measure(load, place, urls, backlog)


def _measure(load: Load, place: Place, urls: Urls, backlog: int) -> Run:
    moments = load.moments()
    first, *photos = place.urls(len(moments) + 1 + backlog)
    new, old = photos[: len(moments)], photos[len(moments) :]
    with (
        place.pipeline(urls) as running,
        producing(running.fleet.environment, place.folder / "producer.log") as producer,
    ):
        wake(running, producer, len(new), first)
        if old:
            _backfill(running, old, place.folder / "catalogue.csv")
        schedule = scheduled(moments, new)
        late_s = offer(schedule.lines, schedule.due_at, producer.events)
        offered_at = time.time()
        producer.end()
        until(
            lambda: rows(running.connection, _UNDER_WAY) == [(0,)],
            "new photos are under way",
            place.limit_s,
        )
        counted = schedule.start + load.warm_up_s
        [(left,)] = rows(running.connection, _LEFT)
        if old and not left:
            raise SetupError(f"all {backlog} photos of the catalogue are done: it must be larger")
        [(done,)] = rows(running.connection, _BACKFILLED, [counted, offered_at])
        found = rows(running.connection, _NEW, [datetime.fromtimestamp(counted, UTC)])
    return Run(
        backlog=backlog,
        photos=len(found),
        became=dict(Counter(status for status, *_ in found)),
        slow=sum(lane == "slow" for _, lane, *_ in found),
        late_ms=late_s * 1000,
        latency_ms=percentiles_ms([finished - offered for *_, offered, finished in found]),
        backfill_per_s=done / (offered_at - counted) if old else None,
        backfill_left=left,
    )


def _backfill(running: Pipeline, urls: Sequence[str], file: Path) -> None:
    """Records a catalogue of a photo a listing, as `tagger produce --backfill` reads it."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["listing_id", "title", "photos"])
        writer.writerows(
            (f"{_CATALOGUE}{number:07}", f"Item {number}", url) for number, url in enumerate(urls)
        )
    done = running.fleet.run(
        *("produce", str(file.resolve()), "--backfill", "--as-of", "2020-01-01T00:00:00Z"),
        timeout_s=LIMIT_S,
    )
    if done.returncode:
        raise SetupError(f"tagger produce --backfill: {done.stderr.decode()[-1000:]}")
