"""The ways to a photo's pixels: all of it, at a fraction of its size, from its first scans."""

from collections.abc import Callable, Mapping
from typing import Final

from worker.decode.excerpt import needed
from worker.decode.pixels import Pixels, decode, reduction, shrink
from worker.decode.sniff import sniff

FULL: Final = "full"
REDUCED: Final = "reduced"
FIRST_SCANS: Final = "first scans"


def full(body: bytes, side: int) -> Pixels:
    """Decoded at its full size, then shrunk to a square."""
    header = sniff(body)
    return shrink(decode(body, header, 1), header, width=side, height=side)


def reduced(body: bytes, side: int) -> Pixels:
    """Decoded at a fraction of its size out of all bytes, then shrunk to a square."""
    header = sniff(body)
    scale = reduction(header, width=side, height=side)
    return shrink(decode(body, header, scale), header, width=side, height=side)


def first_scans(body: bytes, side: int) -> Pixels:
    """As it is served: reduced, and out of no more bytes than that needs."""
    header = sniff(body)
    scale = reduction(header, width=side, height=side)
    picture = decode(needed(body, header, scale), header, scale)
    return shrink(picture, header, width=side, height=side)


WAYS: Final[Mapping[str, Callable[[bytes, int], Pixels]]] = {
    FULL: full,
    REDUCED: reduced,
    FIRST_SCANS: first_scans,
}
