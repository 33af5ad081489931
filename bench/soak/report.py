"""What came out of a soak: tables, JSON and a plot."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import linear_regression, median
from typing import Any, Final

from matplotlib.figure import Figure

from bench.sections import Section
from bench.soak.verdict import Verdict
from bench.soak.watch import Look

#: A process fills its caches first; what it takes from here on should not grow.
_WARM_SHARE: Final = 0.2
_DPI: Final = 110
_MOMENTS_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault: when it came, and how long photos then waited for the next one settled."""

    at_s: float
    fault: str
    lasted_s: float
    quiet_s: float  #: longest time without progress that touches it, as far as was looked


@dataclass(frozen=True, slots=True)
class Soak:
    """All of one soak."""

    seconds: float
    drained_s: float  #: from the end of the load until all was settled
    repeated: int  #: batches of events that were offered again
    faults: list[Injected]
    looks: list[Look]
    progress: list[tuple[float, int]]
    verdict: Verdict


def as_json(soak: Soak, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything."""
    return {**facts, **asdict(soak)}


def sections(soak: Soak) -> list[Section]:
    """The tables."""
    return [_verdict(soak), _memory(soak), _faults(soak)]


def slope_per_hour(points: Sequence[tuple[float, float]]) -> float:
    """The growth an hour of a straight line through (seconds, value) points, warm ones alone."""
    warm = points[round(len(points) * _WARM_SHARE) :]
    if len({at for at, _ in warm}) < 2:
        return 0.0
    return linear_regression([at for at, _ in warm], [value for _, value in warm]).slope * 3600


def quiet_s(progress: Sequence[tuple[float, int]], begin_s: float, end_s: float) -> float:
    """The longest time without progress that touches a fault or the moments after it.

    Args:
        progress: (seconds, photos settled until then), as it was looked at.
        begin_s: when the fault began.
        end_s: when it was over.
    """
    moved = [at_s for at_s, _ in progress[:1]]
    moved += [after[0] for before, after in pairwise(progress) if after[1] > before[1]]
    touching = [
        later - earlier
        for earlier, later in pairwise(moved)
        if earlier <= end_s + _MOMENTS_S and later >= begin_s
    ]
    return max(touching, default=0.0)


def _verdict(soak: Soak) -> Section:
    verdict = soak.verdict
    settled = verdict.found["tagged"] + verdict.found["failed"]
    rows: list[list[Any]] = [
        ["published", f"{verdict.published:,}"],
        ["lost", verdict.lost],
        ["doubled", verdict.doubled],
        *([name, f"{count:,}"] for name, count in verdict.found.items()),
        *([f"failed: {code}", count] for code, count in verdict.failures.items()),
        ["photos a second", f"{settled / soak.seconds:,.0f}"],
        ["faults", len(soak.faults)],
        ["seconds to drain at the end", f"{soak.drained_s:.1f}"],
        ["batches offered again", soak.repeated],
    ]
    return Section("The soak", f"{soak.seconds / 60:.1f} minutes of load.", ["what", "count"], rows)


def _memory(soak: Soak) -> Section:
    rows: list[list[Any]] = []
    for name, looks in _by_process(soak.looks).items():
        memory = [(look.at_s, look.rss_mb) for look in looks]
        descriptors = [(look.at_s, float(look.descriptors)) for look in looks]
        rows.append(
            [
                name,
                f"{looks[-1].at_s - looks[0].at_s:.0f}",
                f"{median(value for _, value in memory):.0f}",
                f"{max(value for _, value in memory):.0f}",
                f"{slope_per_hour(memory):+.1f}",
                f"{median(value for _, value in descriptors):.0f}",
                f"{max(value for _, value in descriptors):.0f}",
                f"{slope_per_hour(descriptors):+.1f}",
            ]
        )
    return Section(
        "Processes that lived all along",
        f"Resident memory and open descriptors; slopes over the last {1 - _WARM_SHARE:.0%} of "
        "their lives.",
        [
            *("process", "alive, s", "median MB", "most MB", "MB/h"),
            *("median descriptors", "most", "descriptors/h"),
        ],
        rows,
    )


def _faults(soak: Soak) -> Section:
    kinds = sorted({injected.fault for injected in soak.faults})
    rows: list[list[Any]] = []
    for kind in kinds:
        of_kind = [injected for injected in soak.faults if injected.fault == kind]
        quiet = [injected.quiet_s for injected in of_kind]
        rows.append([kind, len(of_kind), f"{median(quiet):.0f}", f"{max(quiet):.0f}"])
    return Section(
        "Faults",
        "The longest time without a settled photo that each brought, in seconds, its own length "
        "included; looked at every two seconds, beside a second group of workers that lived on.",
        ["fault", "times", "median", "longest"],
        rows,
    )


def plot(soak: Soak) -> bytes:
    """A PNG: pace with the faults, memory and descriptors over time."""
    figure = Figure(figsize=(12, 8), layout="constrained")
    pace, memory, descriptors = figure.subplots(3, 1, sharex=True)
    steps = [*pairwise(soak.progress)]
    pace.plot(
        [after[0] / 60 for _, after in steps],
        [(after[1] - before[1]) / (after[0] - before[0]) for before, after in steps],
        linewidth=0.8,
    )
    for injected in soak.faults:
        pace.axvline(injected.at_s / 60, color="tab:red", alpha=0.3, linewidth=0.8)
    pace.set(ylabel="photos/s, faults in red", ylim=(0, None))
    for name, looks in _by_process(soak.looks).items():
        minutes = [look.at_s / 60 for look in looks]
        memory.plot(minutes, [look.rss_mb for look in looks], label=name, linewidth=0.8)
        descriptors.plot(minutes, [look.descriptors for look in looks], label=name, linewidth=0.8)
    memory.set(ylabel="resident memory, MB", ylim=(0, None))
    memory.legend(fontsize=7, ncols=4)
    descriptors.set(ylabel="descriptors", xlabel="minutes", ylim=(0, None))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def _by_process(looks: Sequence[Look]) -> dict[str, list[Look]]:
    found: dict[str, list[Look]] = {}
    for look in looks:
        found.setdefault(look.process, []).append(look)
    return {name: seen for name, seen in found.items() if len(seen) > 1}
