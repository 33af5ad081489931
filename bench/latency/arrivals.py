"""When events come: an open loop, which does not wait for what became of the ones before."""

import itertools
import random
import time
from bisect import bisect_right
from collections.abc import Sequence
from typing import BinaryIO


def arrivals(per_s: float, seconds: float, *, even: bool, seed: int) -> list[float]:
    """Moments in seconds from the start on: a Poisson process, or evenly spaced."""
    if even:
        return [place / per_s for place in range(round(per_s * seconds))]
    numbers = random.Random(seed)  # noqa: S311  # spreads load, no secret
    moments = itertools.accumulate(numbers.expovariate(per_s) for _ in itertools.count())
    return list(itertools.takewhile(lambda moment: moment < seconds, moments))


def offer(lines: Sequence[bytes], due_at: Sequence[float], to: BinaryIO) -> float:
    """Writes each line when it is due, and those that are due at once together.

    Args:
        lines: with their ends.
        due_at: when each is due, in seconds since 1970; ascending.
        to: where they go; if it takes no more, those that come due meanwhile are late.

    Returns:
        By how much the latest one was late, in seconds. Whoever measures counts from when they
        were due, so that this adds to what is measured.
    """
    latest, place = 0.0, 0
    while place < len(lines):
        now = time.time()
        if (early_s := due_at[place] - now) > 0:
            time.sleep(early_s)
            continue
        end = bisect_right(due_at, now, place)
        to.write(b"".join(lines[place:end]))
        to.flush()
        latest = max(latest, time.time() - due_at[place])
        place = end
    return latest
