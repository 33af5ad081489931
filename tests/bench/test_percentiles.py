"""Percentiles, where there is something to take them of."""

import pytest

from bench.percentiles import percentiles_ms
from shared.errors import SetupError


def test_percentiles_of_seconds_are_milliseconds() -> None:
    assert percentiles_ms([0.3, 0.1, 0.2]) == pytest.approx(
        {"p50": 200, "p95": 290, "p99": 298, "max": 300}
    )


def test_nothing_to_take_percentiles_of_is_an_error() -> None:
    with pytest.raises(SetupError, match="nothing counts"):
        percentiles_ms([])
