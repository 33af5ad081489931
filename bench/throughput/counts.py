"""How many photos a contestant gets, so that each takes ten to thirty seconds on two cores."""

from collections.abc import Mapping
from typing import Final

#: By contestant, and by the generated size that the photos are like.
_COUNTS: Final[Mapping[str, Mapping[str, int]]] = {
    "ours": {"thumbnail": 30_000, "mid": 15_000, "large": 1_600},
    "paper": {"thumbnail": 15_000, "mid": 6_000, "large": 800},
    "naive": {"thumbnail": 250, "mid": 200, "large": 150},
    "img2dataset": {"thumbnail": 20_000, "mid": 8_000, "large": 600},
}
#: Fewer of those that are decoded in full, which takes about four times as long.
_PROGRESSIVE: Final[Mapping[str, float]] = {"thumbnail": 1, "mid": 0.5, "large": 0.3}
#: Connections of those that open few, whom latency therefore limits.
_CONNECTIONS: Final = {"paper": 10, "naive": 2}
_LATE_S: Final = 20
#: Photos of those that shake hands for each over HTTPS.
_SHAKEN: Final = 2000
#: Photos of each stage of the limit on each core: some tenths of a second of CPU or more.
_LIMIT: Final[Mapping[str, Mapping[str, int]]] = {
    "thumbnail": {"fetch": 8_000, "decode": 10_000, "infer": 6_400},
    "mid": {"fetch": 3_000, "decode": 600, "infer": 6_400},
    "large": {"fetch": 300, "decode": 40, "infer": 6_400},
}


def photos_for(
    contestant: str,
    like: str,
    *,
    latency_ms: int = 0,
    https: bool = False,
    progressive: bool = False,
    most: int = 0,
    times: int = 1,
) -> int:
    """How many photos a round has.

    Args:
        contestant: as on the command line.
        like: the generated size that the photos are like.
        latency_ms: of the origin.
        https: whether it speaks HTTPS.
        progressive: whether they are decoded in full.
        most: an upper bound; 0 for none.
        times: so many times as many as usual.
    """
    count = _COUNTS[contestant][like] * times
    if progressive:
        count = round(count * _PROGRESSIVE[like])
    if latency_ms and contestant in _CONNECTIONS:
        count = min(count, round(_LATE_S * _CONNECTIONS[contestant] * 1000 / latency_ms))
    if https and contestant in _CONNECTIONS:
        count = min(count, _SHAKEN)
    return _bounded(count, most)


def photos_for_limit(like: str, *, most: int = 0) -> dict[str, int]:
    """How many photos each stage of the limit works on."""
    return {stage: _bounded(count, most) for stage, count in _LIMIT[like].items()}


def _bounded(count: int, most: int) -> int:
    return max(1, min(count, most) if most else count)
