"""What came out: tables for people, JSON for programs."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from bench.sections import Section
from bench.throughput.contest import Measured
from bench.throughput.scene import OURS, Scene, cpu_s_per_1000, photos_per_s

#: The columns of the table of CPU; what a contestant has none of is left open.
PROCESSES: Final = ("worker", "relay", "postgres", "valkey", "origin", "producer")


def sections(scenes: Sequence[Scene]) -> list[Section]:
    """The tables."""
    return [_pace(scenes), _cpu(scenes), _memory(scenes), _limit(scenes)]


def as_json(scenes: Sequence[Scene], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that was measured, each round of it, with its medians and ratios.

    Photos a second, CPU seconds, MB; `limit` in microseconds of CPU a photo.
    """
    return {
        **facts,
        "scenes": {
            scene.name: {
                "contestants": {
                    name: {
                        "photos_per_s": scene.median(name, photos_per_s),
                        "cpu_s_per_1000": scene.median(name, cpu_s_per_1000),
                        "times_slower_than_ours": scene.ratio(name, photos_per_s),
                        "times_the_cpu_of_ours": _more(scene.ratio(name, cpu_s_per_1000)),
                        "rounds": [asdict(run) for run in runs],
                    }
                    for name, runs in scene.runs.items()
                },
                "limit": {
                    "us_per_photo": scene.limit_us,
                    "photos_per_s": scene.limit_photos_per_s,
                    "our_share": scene.share,
                },
            }
            for scene in scenes
        },
    }


def _pace(scenes: Sequence[Scene]) -> Section:
    rows: list[list[Any]] = []
    for scene in scenes:
        for name, runs in scene.runs.items():
            rates = [run.photos_per_s for run in runs]
            share = scene.share if name == OURS else None
            rows.append(
                [
                    scene.name,
                    name,
                    number(statistics.median(rates)),
                    f"{number(min(rates))} to {number(max(rates))}",
                    _times(scene.ratio(name, photos_per_s)),
                    _times(_more(scene.ratio(name, cpu_s_per_1000))),
                    None if share is None else f"{share:.0%}",
                ]
            )
    return Section(
        "Photos a second",
        "Medians over the rounds, and the range. How many times as many photos a second we do, how "
        "many times the CPU of ours a photo costs there, and our share of what is possible.",
        ["photos", "by", "photos/s", "rounds", "ours: faster", "more CPU", "of the limit"],
        rows,
    )


def _cpu(scenes: Sequence[Scene]) -> Section:
    rows: list[list[Any]] = []
    for scene in scenes:
        for name, runs in scene.runs.items():
            cells = [
                number(_per_1000(runs, process)) if process in runs[0].cpu_s else None
                for process in PROCESSES
            ]
            whole = scene.median(name, cpu_s_per_1000)
            rows.append([scene.name, name, *cells, number(whole)])
    return Section(
        "CPU seconds for 1,000 photos",
        "User and system time of each process and its children, without their start; medians.",
        ["photos", "by", *PROCESSES, "all"],
        rows,
    )


def _memory(scenes: Sequence[Scene]) -> Section:
    rows = [
        [
            scene.name,
            name,
            number(max(run.largest_mb for run in runs)),
            number(max(run.together_mb for run in runs)),
            f"{statistics.median(run.grew_mb for run in runs):+.0f}",
            runs[0].photos,
            max(run.failed for run in runs),
        ]
        for scene in scenes
        for name, runs in scene.runs.items()
    ]
    return Section(
        "Memory and photos",
        "The largest resident set of one working process (servers and origin not counted), and "
        "what all of them held at once with shared pages counted once: the most of any round. By "
        "how much that grew from the middle third of a round to its last. How many photos a round "
        "has, and how many of them failed at most.",
        ["photos", "by", "largest, MB", "all, MB", "grew, MB", "photos a round", "failed"],
        rows,
    )


def _limit(scenes: Sequence[Scene]) -> Section:
    measured = [scene for scene in scenes if scene.limits]
    stages = list(measured[0].limit_us) if measured else []
    rows = [
        [
            scene.name,
            *(number(scene.limit_us[stage]) for stage in stages),
            number(sum(scene.limit_us.values())),
            number(scene.limit_photos_per_s or 0),
        ]
        for scene in measured
    ]
    return Section(
        "The limit",
        "What a photo cannot do without, in microseconds of CPU: each stage by itself and bare, on "
        "every core at once. The cores over their sum is the limit in photos a second.",
        ["photos", *stages, "all", "photos/s"],
        rows,
    )


def _per_1000(runs: Sequence[Measured], process: str) -> float:
    return statistics.median(1000 * run.cpu_s[process] / run.photos for run in runs)


def _more(ratio: float | None) -> float | None:
    return 1 / ratio if ratio else None


def _times(ratio: float | None) -> str | None:
    return None if ratio is None else f"{number(ratio)}x"


def number(value: float) -> str:
    """A value above 0 in three digits that count."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"
