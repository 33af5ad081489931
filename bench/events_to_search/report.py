"""What came out: latencies in a table and JSON."""

from collections.abc import Mapping
from typing import Any, Final

from bench.events_to_search.follower import KINDS, POLL_S, STEPS
from bench.events_to_search.run import Run
from bench.percentiles import PERCENTILES
from bench.sections import Section
from bench.throughput.report import number

#: What is wanted at the median, from the request to the hit in the index.
TARGET_MS: Final = 2000


def as_json(runs: Mapping[str, Run], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, by the size of photos; percentiles in milliseconds."""
    told = {
        size: {
            kind: {
                step: {**run.latency_ms(kind, step), "all_s": run.seconds[kind][step]}
                for step in STEPS
            }
            for kind in KINDS
        }
        for size, run in runs.items()
    }
    return {**facts, "target_ms": TARGET_MS, "sizes": told}


def section(runs: Mapping[str, Run]) -> Section:
    """The table."""
    rows: list[list[Any]] = [
        [
            size,
            kind,
            step,
            len(run.seconds[kind][step]),
            *(number(run.latency_ms(kind, step)[name]) for name in PERCENTILES),
        ]
        for size, run in runs.items()
        for kind in KINDS
        for step in STEPS
    ]
    return Section(
        "From event to search",
        "Milliseconds from when an event's request was sent: answered with 202; its photo's tags "
        "in Postgres, or gone; the document in the feed, or its tombstone; found by `tagger "
        "search`, with these tags and under no old word, or not found any more. Looked at every "
        f"{POLL_S * 1000:.0f} ms. The aim for found: p50 {TARGET_MS:,} ms or less.",
        ["photos", "listing", "until", "events", *PERCENTILES],
        rows,
    )
