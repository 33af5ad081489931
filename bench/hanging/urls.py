"""Photos from several hosts, and which of them hang."""

import random
from collections.abc import Sequence

from bench.throughput.serving import HANG


def hanging_places(count: int, hosts: int, share: float, seed: int) -> frozenset[int]:
    """Which of so many photos hang: the same share of every host's, anywhere among them."""
    numbers = random.Random(seed)  # noqa: S311  # spreads load, no secret
    found: set[int] = set()
    for host in range(hosts):
        own = range(host, count, hosts)
        found.update(numbers.sample(own, round(share * len(own))))
    return frozenset(found)


def photo_urls(hosts: Sequence[str], paths: Sequence[str], hanging: frozenset[int]) -> list[str]:
    """A URL for each path, from each host in turn; those at the hanging places hang."""
    return [
        f"{hosts[place % len(hosts)]}{path}{f'&{HANG}' if place in hanging else ''}"
        for place, path in enumerate(paths)
    ]
