"""What came out: how long new listings took with and without a back catalogue, and what it cost."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.backfill.run import Run
from bench.percentiles import PERCENTILES
from bench.sections import Section
from bench.throughput.report import number


@dataclass(frozen=True, slots=True)
class Scene:
    """All runs over photos of one size: pairs, without and with a back catalogue."""

    size: str
    per_s: float  #: new listings
    pairs: list[tuple[Run, Run]]

    def times(self, percentile: str) -> float:
        """How many times as long it takes with the catalogue: the median over the pairs."""
        return statistics.median(
            behind.latency_ms[percentile] / alone.latency_ms[percentile]
            for alone, behind in self.pairs
        )


def as_json(scenes: Sequence[Scene], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, latencies in milliseconds."""
    told = [
        {**asdict(scene), "times_as_long": {name: scene.times(name) for name in PERCENTILES}}
        for scene in scenes
    ]
    return {**facts, "scenes": told}


def section(scenes: Sequence[Scene]) -> Section:
    """The table: each run, and under the runs of a size how many times as long it took."""
    table: list[list[Any]] = []
    for scene in scenes:
        for round_, pair in enumerate(scene.pairs, start=1):
            for run in pair:
                table.append(_row(scene, round_, run))  # noqa: PERF401  # reads better so
        times = [f"{scene.times(name):.2f}x" for name in PERCENTILES]
        table.append([scene.size, None, "with / without", None, *times, None, None, None])
    return Section(
        "New listings beside a back catalogue",
        "Milliseconds from when a new listing's event was due to its tag, without and with a back "
        "catalogue being tagged. All photos are at one host. Photos of the catalogue tagged a "
        "second meanwhile; new photos that counted, and those of them that went to the slow lane.",
        [
            *("photos", "round", "catalogue", "new/s", *PERCENTILES),
            *("catalogue/s", "counted", "slow lane"),
        ],
        table,
    )


def _row(scene: Scene, round_: int, run: Run) -> list[Any]:
    return [
        scene.size,
        round_,
        run.backlog or "none",
        number(scene.per_s),
        *(number(run.latency_ms[name]) for name in PERCENTILES),
        None if run.backfill_per_s is None else number(run.backfill_per_s),
        run.photos,
        run.slow,
    ]
