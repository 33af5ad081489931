"""A data set made ready: pixels on disk, truth, and the parts of the split."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shared.errors import DatasetError
from worker.dataset.labelled import Dataset, LabelledPhoto, read_dataset, truth_of
from worker.dataset.split import image_split, split
from worker.dataset.store import pixel_store
from worker.decode.pixels import PREPROCESSING

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Limits:
    """Photos beyond these are left out, as in service."""

    max_photo_pixels: int
    min_photo_elements: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data set that can be trained on."""

    dataset: Dataset  #: without its unreadable photos
    sha256: str  #: of the data set with all its rows
    tags: tuple[str, ...]  #: the vocabulary, in the order of the columns of the truth
    pixels: NDArray[np.uint8]  #: `[photos, side, side, 3]`, a mapped file
    truth: NDArray[np.float32]  #: `[photos, tags]`, 0 or 1
    train: Rows
    validation: Rows
    test: Rows
    left_out: Rows  #: of the sets that were to be kept apart

    def photos(self, rows: Rows) -> list[LabelledPhoto]:
        """The labels of some rows."""
        return [self.dataset.photos[row] for row in rows]


def prepare(
    folder: Path,
    work: Path,
    *,
    side: int,
    seed: int,
    limits: Limits,
    leave_out: Collection[str] = (),
    by: Literal["product", "image"] = "product",
    preprocessing: str = PREPROCESSING,
) -> Prepared:
    """Reads the data set in `folder`, its photos too, and splits it.

    Args:
        folder: labels with photos, or downloaded shards.
        work: where the pixels are kept.
        side: of the square photos, in pixels.
        seed: of the split.
        limits: which photos are left out.
        leave_out: sets that are in no part of the split.
        by: `product`: near-duplicates stay together; `image`: as the paper, which leaks.
        preprocessing: see `worker.decode.pixels`.

    Raises:
        DatasetError: nothing usable in it, no tag, a part of the split without photos, or a set
            to leave out that it does not have.
    """
    read = read_dataset(folder)
    if unknown := set(leave_out) - {photo.set_name for photo in read.photos}:
        raise DatasetError(f"no such set to leave out: {', '.join(sorted(unknown))}")
    parts = _parts(read, seed, leave_out, by)
    dataset, pixels = pixel_store(
        read,
        work,
        height=side,
        width=side,
        max_photo_pixels=limits.max_photo_pixels,
        min_photo_elements=limits.min_photo_elements,
        preprocessing=preprocessing,
    )
    if not dataset.tags:
        raise DatasetError("no photo carries a tag")
    names = np.array([parts[photo.photo] for photo in dataset.photos])
    rows = {name: np.flatnonzero(names == name) for name in ("train", "validation", "test")}
    if empty := [name for name, found in rows.items() if not len(found)]:
        raise DatasetError(f"no photo for {', '.join(empty)}: more products are needed")
    return Prepared(
        dataset=dataset,
        sha256=read.sha256,
        tags=dataset.tags,
        pixels=pixels,
        truth=truth_of(dataset.photos, dataset.tags),
        **rows,
        left_out=np.flatnonzero(names == "left_out"),
    )


def _parts(
    dataset: Dataset, seed: int, leave_out: Collection[str], by: Literal["product", "image"]
) -> dict[str, str]:
    # Of all rows, whatever is left out or unreadable: figures of trainings can be compared.
    parts: Sequence[str] = (
        split(dataset.photos, seed, dataset.near_duplicates)
        if by == "product"
        else image_split(dataset.photos, seed)
    )
    return {
        photo.photo: "left_out" if photo.set_name in leave_out else part
        for photo, part in zip(dataset.photos, parts, strict=True)
    }
