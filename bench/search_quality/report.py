"""What came out: a table for each group of queries and measure, JSON with every query."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.search_quality.market import SELLER
from bench.search_quality.measures import FAR, MEASURES, TOP, interval
from bench.search_quality.run import Measured
from bench.search_quality.wanted import GROUPS, Group
from bench.sections import Section

ALL: Final = "mean of these"
TITLES: Final[Mapping[Group, str]] = {
    "inside": "queries that are tags of the model",
    "below": "queries for what lies below a tag of the model",
    "outside": "queries that no tag of the model says anything of",
}
_SHOWN: Final = {"ndcg": f"nDCG@{TOP}", "recall": f"Recall@{FAR}"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A system in a scenario, over the queries of a group."""

    mean: float
    interval: tuple[float, float]  #: of the mean
    difference: float  #: to the seller's words alone, over the same queries
    difference_interval: tuple[float, float]


Cells = dict[str, dict[str, dict[Group, dict[str, Cell]]]]


def cells(measured: Measured, *, resamples: int, seed: int) -> Cells:
    """Measure -> scenario (and their mean) -> group -> system -> figures.

    Intervals come from drawing queries again. A system that has no answer to a group's queries is
    not there.

    Args:
        measured: with the system `SELLER` among those that were asked.
        resamples: for the intervals.
        seed: of the resamples.
    """
    groups = np.array([query.group for query in measured.queries])
    scenarios = list(dict.fromkeys(scenario for scenario, _ in measured.values))
    systems = list(dict.fromkeys(system for _, system in measured.values))
    found: Cells = {}
    for column, name in enumerate(MEASURES):
        tables: dict[tuple[str, str], NDArray[np.float64]] = {
            key: values[:, column] for key, values in measured.values.items()
        }
        for system in systems:
            rows = [tables[scenario, system] for scenario in scenarios]
            tables[ALL, system] = np.mean(rows, axis=0)
        for scenario in (*scenarios, ALL):
            by_group = found.setdefault(name, {}).setdefault(scenario, {})
            for group in GROUPS:
                here = groups == group
                seller = tables[scenario, SELLER.name][here]
                its = {system: tables[scenario, system][here] for system in systems}
                by_group[group] = {
                    system: _cell(values, seller, resamples, seed)
                    for system, values in its.items()
                    if len(values) and not np.isnan(values).any()
                }
    return found


def _cell(
    values: NDArray[np.float64], seller: NDArray[np.float64], resamples: int, seed: int
) -> Cell:
    gained = values - seller
    return Cell(
        float(values.mean()),
        interval(values, resamples=resamples, seed=seed),
        float(gained.mean()),
        interval(gained, resamples=resamples, seed=seed),
    )


def sections(measured: Measured, found: Cells) -> list[Section]:
    """A table for each measure that is shown and each group that has queries."""
    counts = {group: sum(q.group == group for q in measured.queries) for group in GROUPS}
    return [
        _section(found[name], group, counts[group], title)
        for name, title in _SHOWN.items()
        for group in GROUPS
        if counts[group]
    ]


def _section(by_scenario: Mapping[str, Any], group: Group, queries: int, title: str) -> Section:
    systems = list(by_scenario[ALL][group])
    rows = [
        [scenario, *(_shown(by_group[group][system], system) for system in systems)]
        for scenario, by_group in by_scenario.items()
    ]
    return Section(
        f"{title}, {queries} {TITLES[group]}",
        "Macro averages. In brackets 95 % intervals from drawing queries again: of the mean for "
        f"the {SELLER.name}, of the difference to them for the others.",
        ["sellers", *systems],
        rows,
    )


def _shown(cell: Cell, system: str) -> str:
    if system == SELLER.name:
        low, high = cell.interval
        return f"{cell.mean:.3f} ({low:.2f} to {high:.2f})"
    low, high = cell.difference_interval
    return f"{cell.mean:.3f} ({low:+.2f} to {high:+.2f})"


def as_json(measured: Measured, found: Cells, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything: the figures, and those of every query."""
    figures = {
        name: {
            scenario: {
                group: {system: asdict(cell) for system, cell in its.items()}
                for group, its in by_group.items()
            }
            for scenario, by_group in by_scenario.items()
        }
        for name, by_scenario in found.items()
    }
    return {**facts, "figures": figures, "queries": _queries(measured)}


def _queries(measured: Measured) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = []
    for place, query in enumerate(measured.queries):
        values: dict[str, dict[str, dict[str, float]]] = {}
        for (scenario, system), table in measured.values.items():
            if not np.isnan(table[place]).any():
                row: Sequence[float] = table[place].tolist()
                rounded = (round(value, 4) for value in row)
                its = dict(zip(MEASURES, rounded, strict=True))
                values.setdefault(scenario, {})[system] = its
        described.append(
            {
                "words": query.words,
                "relevant": len(query.relevant),
                "group": query.group,
                "ticked": query.ticked,
                "values": values,
            }
        )
    return described
