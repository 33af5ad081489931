"""A data set made ready: pixels, truth and the three parts of the split."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import DatasetError
from worker.dataset.labelled import (
    Dataset,
    LabelledPhoto,
    load_pixels,
    part_of,
    read_dataset,
    truth_of,
)
from worker.model.tagger import Tagger
from worker.training.evaluate import report


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a data set's photos."""

    photos: tuple[LabelledPhoto, ...]
    pixels: NDArray[np.uint8]  #: `[n, height, width, 3]` RGB
    truth: NDArray[np.float32]  #: `[n, tags]`, 0 or 1

    def judge(self, tagger: Tagger, threshold: float, tags: Sequence[str]) -> dict[str, Any]:
        """What a tagger is worth on these photos; see `evaluate.report`."""
        return report(
            tagger.scores(self.pixels),
            self.truth > 0,
            threshold,
            tags,
            sources=[photo.source for photo in self.photos],
            sets=[photo.set_name for photo in self.photos],
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data set that can be trained on."""

    dataset: Dataset  #: without its unreadable photos
    tags: tuple[str, ...]  #: the vocabulary, in the order of the columns of the truth
    train: Part
    validation: Part
    test: Part
    left_out: Part | None  #: the sets that were to be kept apart


def prepare(
    folder: Path,
    *,
    height: int,
    width: int,
    seed: int,
    leave_out: Collection[str],
    max_photo_pixels: int,
    min_photo_elements: int,
) -> Prepared:
    """Reads the data set in `folder`, its photos too, and splits it by product.

    Raises:
        DatasetError: nothing usable in it, no tag, a part of the split without photos, or a set
            to leave out that it does not have.
    """
    dataset, pixels = load_pixels(
        read_dataset(folder),
        height=height,
        width=width,
        max_photo_pixels=max_photo_pixels,
        min_photo_elements=min_photo_elements,
    )
    if unknown := set(leave_out) - {photo.set_name for photo in dataset.photos}:
        raise DatasetError(f"no such set to leave out: {', '.join(sorted(unknown))}")
    tags = dataset.tags
    if not tags:
        raise DatasetError("no photo carries a tag")
    truth = truth_of(dataset.photos, tags)
    names = np.array(
        [
            "left_out" if photo.set_name in leave_out else part_of(photo.product, seed)
            for photo in dataset.photos
        ]
    )

    def part(name: str) -> Part:
        rows = np.flatnonzero(names == name)
        if not len(rows):
            raise DatasetError(f"no photo for the part {name!r}: more products are needed")
        return Part(tuple(dataset.photos[row] for row in rows), pixels[rows], truth[rows])

    return Prepared(
        dataset=dataset,
        tags=tags,
        train=part("train"),
        validation=part("validation"),
        test=part("test"),
        left_out=part("left_out") if leave_out else None,
    )
