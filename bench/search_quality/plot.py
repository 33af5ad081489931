"""The plot: nDCG by scenario and system, with intervals, a panel a group of queries."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.search_quality.measures import TOP
from bench.search_quality.report import ALL, TITLES, Cell, Cells
from bench.search_quality.wanted import GROUPS, Group

_DPI: Final = 110
_COLOURS: Final = ("#7f7f7f", "#2ca02c", "#1f77b4", "#9467bd", "#8c564b", "#ff7f0e")
_WIDTH: Final = 0.6  #: of a scenario's systems together


def points(found: Cells) -> bytes:
    """A PNG of the means with their intervals."""
    by_scenario = {name: its for name, its in found["ndcg"].items() if name != ALL}
    groups: list[Group] = [
        group for group in GROUPS if any(its[group] for its in by_scenario.values())
    ]
    systems = list(dict.fromkeys(s for its in by_scenario.values() for g in groups for s in its[g]))
    figure = Figure(figsize=(11, 2.9 * len(groups) + 1.3), layout="constrained")
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, group in zip(panels, groups, strict=True):
        _panel(axes, {name: its[group] for name, its in by_scenario.items()}, systems)
        axes.set(ylabel=f"nDCG@{TOP}", ylim=(-0.02, 1.02))
        axes.set_title(TITLES[group], fontsize=9)
    names = [name.replace(", ", ",\n").replace(" of ", "\nof ") for name in by_scenario]
    panels[-1].set_xticks(range(len(names)), names, fontsize=8)
    panels[0].legend(fontsize=8, ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1.1))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _panel(
    axes: Axes, by_scenario: Mapping[str, Mapping[str, Cell]], systems: Sequence[str]
) -> None:
    for place, system in enumerate(systems):
        its = [cells[system] for cells in by_scenario.values() if system in cells]
        if not its:
            continue
        means = np.array([cell.mean for cell in its])
        low, high = np.array([cell.interval for cell in its]).T
        offset = (place / max(1, len(systems) - 1) - 0.5) * _WIDTH
        axes.errorbar(
            np.arange(len(its)) + offset,
            means,
            # The mean of a skewed sample may lie on a bound, but for rounding.
            yerr=np.maximum([means - low, high - means], 0),
            fmt="o",
            markersize=4,
            linewidth=1,
            color=_COLOURS[place % len(_COLOURS)],
            label=system,
        )
    axes.grid(axis="y", linewidth=0.4)
