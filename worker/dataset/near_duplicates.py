"""Groups of photos that look the same, by their perceptual hashes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import DatasetError
from worker.dataset import durable
from worker.dataset.union_find import UnionFind
from worker.decode.phash import PHASH

FILE: Final = "near_duplicates.json"
#: How many of 64 bits may differ. 99.5 % of copies at half the size or at JPEG quality 50 stay
#: within 4; from 6 on, different graphics cards and other things of one shape chain together.
CUTOFF: Final = 4

_BITS: Final = 64
#: Distances that are worked out at once: a bucket of many hashes must not fill the memory.
_BLOCK_PAIRS: Final = 1 << 22


class NearDuplicates(BaseModel):
    """The file of a data set's groups: each photo that has near-duplicates, and its group."""

    model_config = ConfigDict(frozen=True, strict=True)

    phash: str = PHASH
    cutoff: int = CUTOFF
    groups: dict[str, str]  #: the group's name is its first photo's


def group(photos: Sequence[str], hashes: Sequence[int | None]) -> dict[str, str]:
    """The group of each photo that has near-duplicates, named by the first of its photos.

    Photos belong together whose hashes differ in at most `CUTOFF` bits, and whoever belongs to
    one of them. Photos without a hash (blank ones) belong to nobody.

    Args:
        photos: names.
        hashes: 64 bits each, or None, in their order.
    """
    rows = [row for row, value in enumerate(hashes) if value is not None]
    values = np.array([hashes[row] for row in rows], np.uint64)
    distinct, inverse = np.unique(values, return_inverse=True)
    sets = UnionFind[int]()
    for one, other in near_pairs(distinct, CUTOFF):
        sets.join(one, other)
    found = [(photos[row], sets.find(int(place))) for row, place in zip(rows, inverse, strict=True)]
    sizes = Counter(root for _, root in found)
    names: dict[int, str] = {}
    for photo, root in found:
        names[root] = min(photo, names.get(root, photo))
    return {photo: names[root] for photo, root in found if sizes[root] > 1}


def near_pairs(hashes: NDArray[np.uint64], cutoff: int) -> Iterator[tuple[int, int]]:
    """Each pair of places whose hashes differ in at most `cutoff` bits, at least once.

    With the bits cut into `cutoff + 1` bands, two such hashes are equal in one band at least, so
    only those that share a band are compared.

    Source: Norouzi et al., "Fast Search in Hamming Space with Multi-Index Hashing", 2012.

    Args:
        hashes: uint64 `[n]`, distinct.
        cutoff: below 64.
    """
    edges = [_BITS * band // (cutoff + 1) for band in range(cutoff + 2)]
    for low, high in pairwise(edges):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order])) + 1
        for bucket in np.split(order, starts):
            if len(bucket) > 1:
                yield from _pairs_within(bucket, hashes, cutoff)


def read(folder: Path) -> Mapping[str, str]:
    """The groups of a data set.

    Raises:
        DatasetError: the file is missing, or not as it should be.
    """
    path = folder / FILE
    try:
        return NearDuplicates.model_validate_json(path.read_bytes()).groups
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise DatasetError(f"{path}: {error.errors()[0]['msg']}") from None


def write(folder: Path, groups: dict[str, str]) -> None:
    """Write the groups of a data set."""
    durable.write(folder / FILE, NearDuplicates(groups=groups).model_dump_json(indent=1) + "\n")


def _pairs_within(
    bucket: NDArray[np.intp], hashes: NDArray[np.uint64], cutoff: int
) -> Iterator[tuple[int, int]]:
    values = hashes[bucket]
    rows = max(1, _BLOCK_PAIRS // len(bucket))
    for first in range(0, len(bucket), rows):
        some = values[first : first + rows, None]
        near = np.bitwise_count(some ^ values[None, first:]) <= cutoff
        for one, other in np.argwhere(np.triu(near, 1)).tolist():
            yield int(bucket[first + one]), int(bucket[first + other])
