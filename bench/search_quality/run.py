"""Every query by every system in every scenario."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.search_quality.market import SYSTEMS, Market, System
from bench.search_quality.measures import MEASURES, Quality
from bench.search_quality.sellers import SCENARIOS, Scenario, said
from bench.search_quality.wanted import Wanted
from search.query import RANKING, Ranking

#: What a system without an answer is worth: nothing that could be counted.
_NONE: Final = (np.nan,) * len(MEASURES)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        draws: how often scenarios that chance has a part in are drawn.
        spam_words: that a spammer adds.
        seed: of the draws.
        ranking: what fits better than what.
    """

    draws: int
    spam_words: int
    seed: int
    ranking: Ranking = RANKING
    scenarios: Sequence[Scenario] = SCENARIOS
    systems: Sequence[System] = SYSTEMS


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found."""

    queries: Sequence[Wanted]
    #: (scenario, system) -> float64 `[queries, measures]`, means over the draws; NaN where the
    #: system has no answer to a query, see `Market.ask`.
    values: Mapping[tuple[str, str], NDArray[np.float64]]


def measure(
    market: Market,
    filed: Mapping[str, frozenset[str]],
    queries: Sequence[Wanted],
    plan: Plan,
    say: Callable[[str], None],
) -> Measured:
    """Lets sellers behave as in each scenario, and asks each query of each system.

    Args:
        market: with the listings of all products.
        filed: product -> what it is filed under.
        queries: what buyers look for.
        plan: what is measured.
        say: told what is going on.
    """
    values: dict[tuple[str, str], NDArray[np.float64]] = {}
    for scenario in plan.scenarios:
        draws = plan.draws if scenario.drawn else 1
        answers: dict[str, list[list[tuple[float, ...]]]] = {}
        for draw in range(draws):
            seed = plan.seed + draw
            market.say(said(filed, scenario, spam_words=plan.spam_words, seed=seed))
            for system in plan.systems:
                asked = [_values(market.ask(query, system, plan.ranking)) for query in queries]
                answers.setdefault(system.name, []).append(asked)
        values |= {
            (scenario.name, system): np.mean(drawn, axis=0) for system, drawn in answers.items()
        }
        say(f"{scenario.name}: {draws} draws, {len(queries)} queries, {len(plan.systems)} systems")
    return Measured(queries, values)


def _values(quality: Quality | None) -> tuple[float, ...]:
    return _NONE if quality is None else astuple(quality)
