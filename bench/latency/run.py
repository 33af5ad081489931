"""One run: events at a steady pace into a `tagger produce` that stays, and when each was tagged."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bench.events import events
from bench.latency.arrivals import offer
from bench.latency.feed_reader import FeedReader
from bench.latency.producer import producing
from bench.latency.schedule import Load, scheduled, wake
from bench.percentiles import percentiles_ms
from bench.place import Place
from bench.running import published, rows
from bench.throughput.contest import until
from bench.throughput.cpu import measuring
from dev.services import Urls

#: From one moment to the next; the moments of rows are when their transactions began.
SPANS: Final = ("recorded to tagged", "offered to tagged", "offered to seen")
_START_S: Final = 60.0
_TIMES: Final = """
    SELECT external_id, status, extract(epoch FROM occurred_at)::float,
        extract(epoch FROM photo.created_at)::float, extract(epoch FROM finished_at)::float
    FROM photo JOIN listing ON listing.id = listing_id WHERE occurred_at >= %s
"""


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
    with place.fresh() as urls, place.pipeline(urls) as running:
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
    with place.fresh() as urls:
        return _measure(load, place, urls)


def _measure(load: Load, place: Place, urls: Urls) -> Run:
    moments = load.moments()
    first, *photos = place.urls(len(moments) + 1)
    with (
        place.pipeline(urls) as running,
        producing(running.fleet.environment, place.folder / "producer.log") as producer,
        FeedReader(urls.database_url) as reader,
    ):
        wake(running, producer, len(photos), first)
        schedule = scheduled(moments, photos)
        pids = {
            **running.pids("worker", "relay"),
            **place.servers.pids,
            "producer": producer.pid,
            "origin": place.origin.pid,
        }
        with measuring(pids, memory_of="worker") as usage:
            late_s = offer(schedule.lines, schedule.due_at, producer.events)
            # It ends after that: its CPU would be gone with it.
            until(
                lambda: published(running.connection) > len(photos),
                "photos are under way",
                place.limit_s,
            )
        producer.end()
        running.until_settled(len(photos) + 1, place.limit_s)
        until(lambda: len(reader.seen_at) > len(photos), "the feed is not read", _START_S)
        counted = datetime.fromtimestamp(schedule.start + load.warm_up_s, UTC)
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
    seconds: dict[str, list[float]] = {span: [] for span in SPANS}
    for listing, _, offered, recorded, finished in found:
        spans = (finished - recorded, finished - offered, seen_at[listing] - offered)
        for span, one_s in zip(SPANS, spans, strict=True):
            seconds[span].append(one_s)
    return {span: percentiles_ms(its) for span, its in seconds.items()}
