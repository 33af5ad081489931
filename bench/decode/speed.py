"""Microseconds from a generated photo's bytes to its pixels, each way."""

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.decode.ways import WAYS
from bench.throughput.photos import generated
from worker.decode.excerpt import needed
from worker.decode.pixels import reduction
from worker.decode.sniff import sniff

#: As many photos of a size as take about the same time.
_FILES: Final = {"thumbnail": 60, "mid": 12, "large": 2}


@dataclass(frozen=True, slots=True)
class Speed:
    """What one kind of photos costs at one size of input."""

    photos: str
    side: int  #: pixels of the network's input
    scale: int  #: decoded at 1/so much
    mean_bytes: float
    given: float  #: share of the bytes that the decoder is given, 0..1
    us: dict[str, float]  #: microseconds a photo, the median of rounds, by way


def speeds(names: Iterable[str], sides: Iterable[int], folder: Path, rounds: int) -> list[Speed]:
    """Measures each kind of photos at each side; the ways take turns, photo by photo.

    Args:
        names: of `bench.throughput.photos.NAMES`.
        sides: of the network's input, pixels.
        folder: where photos go.
        rounds: how often each photo is decoded each way.
    """
    sides = list(sides)
    found: list[Speed] = []
    for name in names:
        files = generated(name, folder / name, files=_FILES[name.partition("-")[0]]).files
        bodies = [(folder / name / file).read_bytes() for file in files]
        found += [_speed(name, bodies, side, rounds) for side in sides]
    return found


def _speed(name: str, bodies: list[bytes], side: int, rounds: int) -> Speed:
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        spent = dict.fromkeys(WAYS, 0.0)
        for body in bodies:
            for way, pixels in WAYS.items():
                started = time.perf_counter()
                pixels(body, side)
                spent[way] += time.perf_counter() - started
        for way, total in spent.items():
            seconds[way].append(total / len(bodies))
    headers = [sniff(body) for body in bodies]
    scale = reduction(headers[0], width=side, height=side)
    size = sum(map(len, bodies))
    given = sum(len(needed(*photo, scale)) for photo in zip(bodies, headers, strict=True))
    us = {way: statistics.median(spent) * 1e6 for way, spent in seconds.items()}
    return Speed(name, side, scale, size / len(bodies), given / size, us)
