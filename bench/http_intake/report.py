"""What came out: rates, and the account of every event."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.http_intake.run import Run
from bench.percentiles import PERCENTILES
from bench.sections import Section
from bench.throughput.report import number


def as_json(runs: Sequence[Run], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything."""
    told = [{**asdict(run), "events_per_s": run.events_per_s, "good": run.good} for run in runs]
    return {**facts, "good": all(run.good for run in runs), "runs": told}


def sections(runs: Sequence[Run]) -> list[Section]:
    """The tables."""
    return [_rates(runs), _accounts(runs)]


def _rates(runs: Sequence[Run]) -> Section:
    rows: list[list[Any]] = [
        [
            run.scene,
            run.batch,
            run.connections,
            run.ledger.sent,
            number(run.events_per_s),
            *(number(run.answer_ms[name]) for name in PERCENTILES),
            *(number(run.cpu_us[name]) if run.cpu_us else None for name in ("intake", "postgres")),
            None if run.tagged_s is None else number(run.ledger.sent / run.tagged_s),
        ]
        for run in runs
    ]
    return Section(
        "Events over HTTP",
        "Signed CloudEvents, each of a listing with one photo, to one intake process; from the "
        "first request to the last 202. Milliseconds of the answers, microseconds of CPU an "
        "event, and photos tagged a second meanwhile and until the last one was.",
        [
            *("beside it", "a request", "connections", "events", "events/s"),
            *(f"answer {name}" for name in PERCENTILES),
            *("intake us", "Postgres us", "tagged/s"),
        ],
        rows,
    )


def _accounts(runs: Sequence[Run]) -> Section:
    rows: list[list[Any]] = [
        [
            run.scene,
            "; ".join(f"{name}: {count}" for name, count in sorted(run.kills.items())) or None,
            "; ".join(f"{why}: {count}" for why, count in sorted(run.again.items())) or None,
            run.counts.get("recorded", 0),
            run.counts.get("unchanged", 0),
            run.ledger.lost,
            run.ledger.doubled,
            run.ledger.never_sent,
            None if run.tagged_s is None else run.ledger.untagged,
        ]
        for run in runs
    ]
    return Section(
        "What became of them",
        "SIGKILLs, and requests that had to be sent again, by why. Events that answers called "
        "recorded, and unchanged: those were committed, and the intake killed before it had said "
        "so. What Postgres says in the end: lost are events that were answered with 202 and are "
        "not there.",
        [
            *("beside it", "killed", "sent again", "recorded", "unchanged"),
            *("lost", "doubled", "never sent", "untagged"),
        ],
        rows,
    )
