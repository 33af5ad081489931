"""What came out: ratios of a short backlog's cost to a long one's, tables, JSON."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from bench.scale.blocks import Measured
from bench.scale.end_to_end import Pace
from bench.scale.steps import STEPS, Cost
from bench.sections import Section
from bench.throughput.report import number

#: The pace before the long backlog should be this share of that before the short one.
TARGET: Final = 0.95
ALL: Final = "all"
_COSTS: Final[dict[str, Callable[[Cost], float]]] = {
    "us": lambda cost: cost.wall_us,
    "Postgres CPU us": lambda cost: cost.server_us,
}


def medians(measured: Measured) -> dict[str, dict[str, float]]:
    """Microseconds a photo, medians over the blocks: kind of cost -> step -> figure."""
    found: dict[str, dict[str, float]] = {}
    for kind, of in _COSTS.items():
        by_step = {step: [of(block[step]) for block in measured.blocks] for step in STEPS}
        by_step[ALL] = [sum(of(cost) for cost in block.values()) for block in measured.blocks]
        found[kind] = {step: statistics.median(figures) for step, figures in by_step.items()}
    return found


def ratios(short: Measured, long: Measured) -> dict[str, dict[str, float]]:
    """A photo's cost before the short backlog over that before the long one, as `medians`."""
    costs, others = medians(short), medians(long)
    return {
        kind: {step: figure / others[kind][step] for step, figure in by_step.items()}
        for kind, by_step in costs.items()
    }


def pace_ratio(paces: Sequence[Pace]) -> float:
    """Photos a second before the longest backlog over those before the shortest, medians."""
    rates = {
        backlog: statistics.median(pace.photos_per_s for pace in paces if pace.backlog == backlog)
        for backlog in sorted({pace.backlog for pace in paces})
    }
    return rates[max(rates)] / rates[min(rates)]


def blocks_json(short: Measured, long: Measured) -> dict[str, Any]:
    """Everything of both, with medians and ratios."""
    return {
        "ratio": ratios(short, long),
        "target": TARGET,
        "backlogs": [{**asdict(one), "medians": medians(one)} for one in (short, long)],
    }


def paces_json(paces: Sequence[Pace]) -> dict[str, Any]:
    """Every run, with the ratio of their medians."""
    runs = [{**asdict(pace), "photos_per_s": pace.photos_per_s} for pace in paces]
    return {"ratio": pace_ratio(paces), "target": TARGET, "runs": runs}


def blocks_sections(short: Measured, long: Measured) -> list[Section]:
    """The tables of the steps."""
    return [_steps(short, long), _plans(short, long), _tables(short, long)]


def paces_section(paces: Sequence[Pace]) -> Section:
    """The table of whole runs."""
    rows = [
        [
            pace.backlog,
            pace.photos,
            f"{pace.seconds:.2f}",
            number(pace.photos_per_s),
            number(pace.cpu_ms["postgres"]),
            number(pace.cpu_ms["worker"]),
            "; ".join(f"{what}: {count}" for what, count in pace.became.items()),
        ]
        for pace in paces
    ]
    return Section(
        "The first photos of a backlog",
        "From the first settled batch to the last, relay and workers running. CPU in milliseconds "
        f"a photo. Long over short, medians: {pace_ratio(paces):.2f} (aim: {TARGET:.2f} or more).",
        ["due behind", "photos", "seconds", "photos/s", "Postgres", "workers", "became"],
        rows,
    )


def _steps(short: Measured, long: Measured) -> Section:
    costs, others, shares = medians(short), medians(long), ratios(short, long)
    rows: list[list[Any]] = []
    for step in (*STEPS, ALL):
        row: list[Any] = [step]
        for kind in _COSTS:
            row += [number(costs[kind][step]), number(others[kind][step])]
            row.append(f"{shares[kind][step]:.2f}")
        rows.append(row)
    return Section(
        f"A photo's steps before {short.backlog:,} and before {long.backlog:,} due photos",
        "Microseconds a photo on the caller's clock and of CPU in Postgres, medians over blocks; "
        f"the ratio is short over long (aim: {TARGET:.2f} or more).",
        [
            "step",
            *(head for kind in _COSTS for head in (f"short, {kind}", f"long, {kind}", "ratio")),
        ],
        rows,
    )


def _plans(short: Measured, long: Measured) -> Section:
    rows = [
        [
            one.backlog,
            when,
            plan.photos,
            plan.select_blocks,
            plan.blocks,
            f"{plan.ms:.2f}",
            " > ".join(plan.nodes),
        ]
        for one in (short, long)
        for when, plan in zip(("before", "after"), one.plans, strict=True)
    ]
    return Section(
        "The relay's statement",
        "EXPLAIN (ANALYZE, BUFFERS) of one round: blocks of 8 KB that its SELECT and all of it "
        "looked at.",
        ["due behind", "measured", "photos", "blocks, SELECT", "blocks, all", "ms", "plan"],
        rows,
    )


def _tables(short: Measured, long: Measured) -> Section:
    rows: list[list[Any]] = []
    for one in (short, long):
        before, after = one.tables
        for then, now in zip(before, after, strict=True):
            sizes = [f"{facts['bytes'] / 1e6:,.1f}" for facts in (then, now)]
            counts = [now[name] for name in ("live", "dead", "autovacuums", "autoanalyzes")]
            rows.append([one.backlog, now["name"], *sizes, *counts])
    return Section(
        "Tables and indexes",
        "MB before and after; rows as the server counts them, and how often autovacuum came, "
        "after. Autovacuum is on, as by default.",
        [
            *("due behind", "table or index", "MB before", "MB after"),
            *("live", "dead", "vacuumed", "analyzed"),
        ],
        rows,
    )
