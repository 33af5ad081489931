"""What came out: latencies in tables and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.latency.feed_reader import POLL_S
from bench.latency.run import SPANS, Run
from bench.percentiles import PERCENTILES
from bench.sections import Section
from bench.throughput.report import number

#: What is wanted of the span from offered to tagged: percentile -> milliseconds.
TARGETS: Final[Mapping[str, float]] = {"p50": 150, "p99": 1000}


@dataclass(frozen=True, slots=True)
class Scene:
    """All runs over photos of one size."""

    size: str
    full_photos_per_s: float | None  #: where it was measured first
    runs: list[Run]


def as_json(scenes: Sequence[Scene], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, latencies in milliseconds."""
    return {**facts, "targets_ms": TARGETS, "scenes": [asdict(scene) for scene in scenes]}


def sections(scenes: Sequence[Scene], how: str) -> list[Section]:
    """The tables; `how` says in words how events came."""
    return [_latencies(scenes, how), _runs(scenes)]


def _latencies(scenes: Sequence[Scene], how: str) -> Section:
    rows: list[list[Any]] = [
        [
            scene.size,
            place,
            number(run.offered_per_s),
            span,
            *(number(run.latency_ms[span][name]) for name in PERCENTILES),
        ]
        for scene in scenes
        for place, run in enumerate(scene.runs, start=1)
        for span in SPANS
    ]
    aims = ", ".join(f"{name} {aim:,.0f} ms" for name, aim in TARGETS.items())
    return Section(
        "From event to tag",
        f"Milliseconds. Events came {how}, whatever became of those before. Offered: when the "
        "event was due, however late it was written; recorded and tagged: when the transactions "
        f"began that did it; seen: when a reader that polls the feed every {POLL_S * 1000:.0f} ms "
        f"had the listing. The aims from offered to tagged: {aims} or less.",
        ["photos", "run", "offered/s", "span", *PERCENTILES],
        rows,
    )


def _runs(scenes: Sequence[Scene]) -> Section:
    names = list(scenes[0].runs[0].cpu_ms)
    rows: list[list[Any]] = [
        [
            scene.size,
            place,
            None if scene.full_photos_per_s is None else number(scene.full_photos_per_s),
            number(run.offered_per_s),
            run.photos,
            "; ".join(f"{what}: {count}" for what, count in run.became.items()),
            number(run.late_ms),
            *(number(run.cpu_ms[name]) for name in names),
        ]
        for scene in scenes
        for place, run in enumerate(scene.runs, start=1)
    ]
    return Section(
        "Runs",
        "The pace with all events there at once, where it was measured; photos that count, those "
        "due after the warm-up; by how many milliseconds an event was written late at most; "
        "milliseconds of CPU a photo.",
        ["photos", "run", "full/s", "offered/s", "counted", "became", "late, ms", *names],
        rows,
    )
