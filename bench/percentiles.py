"""Percentiles of how long something took: the same ones in every table."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from shared.errors import SetupError

PERCENTILES: Final = {"p50": 50, "p95": 95, "p99": 99, "max": 100}


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """The `PERCENTILES` of some seconds, in milliseconds.

    Raises:
        SetupError: there is nothing to take them of.
    """
    if not len(seconds):
        raise SetupError("nothing counts: no event was due after the warm-up")
    found: list[float] = np.percentile(seconds, [*PERCENTILES.values()]).tolist()
    return {name: value * 1000 for name, value in zip(PERCENTILES, found, strict=True)}
