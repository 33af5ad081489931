"""One run: events at a steady pace into a `tagger produce` that stays, and when each was tagged."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.events import event, events
from bench.latency.arrivals import arrivals, offer
from bench.latency.feed_reader import FeedReader
from bench.latency.producer import producing
from bench.running import pipeline, published, rows
from bench.throughput.contest import until
from bench.throughput.cpu import measuring
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers
from dev.services import Urls
from shared.errors import SetupError

#: From one moment to the next; the moments of rows are when their transactions began.
SPANS: Final = ("recorded to tagged", "offered to tagged", "offered to seen")
PERCENTILES: Final = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
_START_S: Final = 60.0
#: Until the first event is due, once all lines are made.
_HEAD_START_S: Final = 0.5
_TIMES: Final = """
    SELECT external_id, status, extract(epoch FROM occurred_at)::float,
        extract(epoch FROM photo.created_at)::float, extract(epoch FROM finished_at)::float
    FROM photo JOIN listing ON listing.id = listing_id WHERE occurred_at >= %s
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs happen."""

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


@dataclass(frozen=True, slots=True)
class Load:
    """How events come, each of a listing with one photo."""

    per_s: float
    seconds: float  #: that count
    warm_up_s: float  #: before them
    even: bool  #: evenly spaced; else a Poisson process
    seed: int


@dataclass(frozen=True, slots=True)
class Run:
    """What one run found."""

    offered_per_s: float  #: photos, as they were to come
    photos: int  #: that count: those due after the warm-up
    became: Mapping[str, int]  #: of these, by status
    late_ms: float  #: by how much an event was written late, at most
    latency_ms: Mapping[str, Mapping[str, float]]  #: span -> percentile -> milliseconds
    cpu_ms: Mapping[str, float]  #: milliseconds of CPU a photo, by process


def full_pace(place: Place, count: int) -> float:
    """Photos a second when so many events come at once, from the first event to the last tag."""
    shutil.rmtree(place.folder, ignore_errors=True)
    with (
        place.servers.fresh() as urls,
        pipeline(
            urls, place.origin, place.folder, place.settings, processes=place.processes
        ) as running,
    ):
        running.record(events(place.urls(count)))
        running.until_settled(count, place.limit_s)
        query = "SELECT extract(epoch FROM max(finished_at) - min(created_at))::float FROM photo"
        [(seconds,)] = rows(running.connection, query)
    return count / float(seconds)


def measure(load: Load, place: Place) -> Run:
    """Offers events on a fresh database and waits until all are settled.

    Raises:
        SetupError: something does not start, or a photo is under way for too long.
    """
    shutil.rmtree(place.folder, ignore_errors=True)
    with place.servers.fresh() as urls:
        return _measure(load, place, urls)


def _measure(load: Load, place: Place, urls: Urls) -> Run:
    moments = arrivals(load.per_s, load.warm_up_s + load.seconds, even=load.even, seed=load.seed)
    first, *photos = place.urls(len(moments) + 1)
    with (
        pipeline(
            urls, place.origin, place.folder, place.settings, processes=place.processes
        ) as running,
        producing(running.fleet.environment, place.folder / "producer.log") as producer,
        FeedReader(urls.database_url) as reader,
    ):
        # Everything is up once one photo has come through.
        long_ago = datetime.fromtimestamp(0, UTC)
        offer([_line(len(photos), first, long_ago)], [0.0], producer.events)
        until(lambda: published(running.connection) > 0, "no photo is tagged", _START_S)
        start = time.time() + _HEAD_START_S + len(photos) * 20e-6
        due_at = [start + moment for moment in moments]
        lines = [
            _line(number, url, datetime.fromtimestamp(due, UTC))
            for number, (url, due) in enumerate(zip(photos, due_at, strict=True))
        ]
        pids = {
            **running.pids("worker", "relay"),
            **place.servers.pids,
            "producer": producer.pid,
            "origin": place.origin.pid,
        }
        with measuring(pids, memory_of="worker") as usage:
            late_s = offer(lines, due_at, producer.events)
            # It ends after that: its CPU would be gone with it.
            until(
                lambda: published(running.connection) > len(photos),
                "photos are under way",
                place.limit_s,
            )
        producer.end()
        running.until_settled(len(photos) + 1, place.limit_s)
        until(lambda: len(reader.seen_at) > len(photos), "the feed is not read", _START_S)
        counted = datetime.fromtimestamp(start + load.warm_up_s, UTC)
        found = rows(running.connection, _TIMES, [counted])
    return Run(
        offered_per_s=load.per_s,
        photos=len(found),
        became=dict(Counter(status for _, status, *_ in found)),
        late_ms=late_s * 1000,
        latency_ms=_latencies(found, reader.seen_at),
        cpu_ms={name: cpu_s / len(photos) * 1000 for name, cpu_s in usage.cpu_s.items()},
    )


def _latencies(
    found: Sequence[tuple[Any, ...]], seen_at: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Percentiles of each span, in milliseconds."""
    if not found:
        raise SetupError("no event counts: none was due after the warm-up")
    moments = np.array(
        [
            (offered, recorded, finished, seen_at[listing])
            for listing, _, offered, recorded, finished in found
        ]
    )
    offered, recorded, finished, seen = moments.T
    spans = dict(zip(SPANS, (finished - recorded, finished - offered, seen - offered), strict=True))
    return {
        span: {
            name: float(np.percentile(seconds, percent) * 1000)
            for name, percent in PERCENTILES.items()
        }
        for span, seconds in spans.items()
    }


def _line(number: int, url: str, occurred_at: datetime) -> bytes:
    return f"{event(number, [url], occurred_at)}\n".encode()
