"""What came out: the ratio, the tables, the JSON."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from bench.hanging.run import Run
from bench.sections import Section
from bench.throughput.report import number

#: The pace of healthy photos beside hanging ones should be this share of that among themselves.
TARGET: Final = 0.90


def ratio(runs: Sequence[Run]) -> float:
    """The median pace of healthy photos beside hanging ones, over that among themselves."""
    beside, alone = (
        statistics.median(run.healthy_photos_per_s for run in runs if run.kind == kind)
        for kind in ("hanging", "clean")
    )
    return beside / alone


def as_json(runs: Sequence[Run], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Every run, with its pace."""
    told = [{**asdict(run), "healthy_photos_per_s": run.healthy_photos_per_s} for run in runs]
    return {**facts, "ratio": ratio(runs), "target": TARGET, "runs": told}


def sections(runs: Sequence[Run], settings: Mapping[str, str]) -> list[Section]:
    """The tables."""
    pace = [
        [
            run.kind,
            run.healthy,
            number(run.healthy_photos_per_s),
            *(f"{part:.1f}" for part in (run.healthy_half_s, run.healthy_most_s, run.healthy_s)),
            _words(run.healthy_became),
        ]
        for run in runs
    ]
    fate = [
        [run.hanging, f"{run.hanging_s:.1f}", _words(run.hanging_became)]
        for run in runs
        if run.hanging_s is not None
    ]
    return [
        Section(
            "Healthy photos",
            "Seconds from the first event until half, 99 % and all of them were settled. "
            f"Hanging over clean, medians: {ratio(runs):.2f} (aim: {TARGET:.2f} or more). "
            f"Settings beyond the defaults: {_words(settings)}.",
            ["run", "photos", "photos/s", "half, s", "99 %, s", "all, s", "became"],
            pace,
        ),
        Section(
            "Hanging photos",
            "Seconds from the first event until all of them were settled, and as what.",
            ["photos", "all, s", "became"],
            fate,
        ),
    ]


def _words(counts: Mapping[str, object]) -> str:
    return "; ".join(f"{name}: {count}" for name, count in counts.items())
