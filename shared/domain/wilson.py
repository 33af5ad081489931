"""Where a share truly lies that was counted on a few: Wilson's score interval (pure).

Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]

#: The normal quantiles of a one-sided 95 % bound, and of a two-sided 95 % interval.
_ONE_SIDED: Final = 1.6448536269514722
_TWO_SIDED: Final = 1.959963984540054


def lower_bound(hits: Counts, counts: Counts) -> Counts:
    """The one-sided 95 % lower bound of each share hits / counts; 0 of 0 is 0."""
    low, _ = _bounds(hits, counts, _ONE_SIDED)
    return low


def interval(hits: int, count: int) -> tuple[float, float]:
    """The two-sided 95 % interval of a share; 0 to 1 where nothing was counted."""
    if not count:
        return 0.0, 1.0
    low, high = _bounds(np.array(float(hits)), np.array(float(count)), _TWO_SIDED)
    return float(low), float(high)


def _bounds(hits: Counts, counts: Counts, z: float) -> tuple[Counts, Counts]:
    n = np.maximum(counts, 1)
    share = hits / n
    centre = share + z**2 / (2 * n)
    spread = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    # Rounding may leave a little more than nothing of no hits, and less than all of nothing else.
    return (
        np.clip((centre - spread) / scale, 0, share),
        np.clip((centre + spread) / scale, share, 1),
    )
