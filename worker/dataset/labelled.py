"""Reading a labelled data set: rows, its hash, its split by product, its pixels."""

import gzip
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.errors import DatasetError, DecodeError
from worker.decode.pixels import to_pixels

LABELS = "labels.jsonl.gz"
MAX_LINE_BYTES = 1 << 20
#: All pixels of a data set lie in memory at once: 3,675 bytes a photo at 35x35.
MAX_PIXELS_MB = 4096
TRAIN_SHARE, VALIDATION_SHARE = 0.70, 0.15

Part = Literal["train", "validation", "test"]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class LabelledPhoto(BaseModel):
    """One line of `labels.jsonl.gz`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    photo: Annotated[str, StringConstraints(min_length=1, max_length=500)]  #: below the folder
    product: Word  #: near-duplicates share one
    tags: list[Word]
    paths: list[list[Word]]  #: category paths, root first
    source: Literal["catalogue", "user"]
    set_name: Annotated[Word, Field(alias="set")]  #: which collection it came from


@dataclass(frozen=True, slots=True)
class Dataset:
    """The usable rows of a data set, and what was wrong with the others."""

    folder: Path
    photos: tuple[LabelledPhoto, ...]
    rejected: Counter[str]  #: rows by what is wrong with them
    complaints: tuple[str, ...]  #: the first of each kind, with its line number

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag of the labels, sorted: the vocabulary, in the order of the scores."""
        return tuple(sorted({tag for photo in self.photos for tag in photo.tags}))

    @property
    def sha256(self) -> str:
        """The hash of photo ids and tags, whatever the order of rows."""
        digest = hashlib.sha256()
        for photo in sorted(self.photos, key=lambda photo: photo.photo):
            digest.update(json.dumps([photo.photo, sorted(photo.tags)]).encode() + b"\n")
        return digest.hexdigest()


def read_dataset(folder: Path) -> Dataset:
    """The rows of `labels.jsonl.gz` under `folder`.

    A row that cannot be used is counted by kind (`broken_json`, `bad_row`, `bad_path`,
    `duplicate`, `line_too_long`) and never fatal by itself; the rest of a file that is `cut_short`
    or `damaged` counts once.

    Raises:
        DatasetError: there is no such file, or no usable row in it.
    """
    rejected: Counter[str] = Counter()
    complaints: list[str] = []
    photos: dict[str, LabelledPhoto] = {}
    for number, line in _lines(folder / LABELS, rejected, complaints):
        try:
            photo = parse_row(line)
        except _BadRow as bad:
            _note(bad, number, rejected, complaints)
            continue
        if photo.photo in photos:
            _note(_BadRow("duplicate", photo.photo), number, rejected, complaints)
        photos.setdefault(photo.photo, photo)
    if not photos:
        raise DatasetError(f"{folder / LABELS}: no usable row; {_listed(complaints)}")
    return Dataset(folder, tuple(photos.values()), rejected, tuple(complaints))


class _BadRow(DatasetError):
    """The row cannot be used."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def parse_row(line: bytes) -> LabelledPhoto:
    """One row out of one line.

    Raises:
        DatasetError: it is not JSON, has missing or mistyped fields (a list written as text
            counts as such), or names a file outside the folder.
    """
    if len(line) > MAX_LINE_BYTES:
        raise _BadRow("line_too_long", f"more than {MAX_LINE_BYTES} bytes")
    try:
        row: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _BadRow("broken_json", type(error).__name__) from None
    try:
        photo = LabelledPhoto.model_validate(row)
    except ValidationError as error:
        where = ".".join(str(step) for step in error.errors()[0]["loc"])
        raise _BadRow("bad_row", f"{where or 'row'}: {error.errors()[0]['msg']}") from None
    path = PurePosixPath(photo.photo)
    if path.is_absolute() or ".." in path.parts or "\0" in photo.photo:
        raise _BadRow("bad_path", "the photo is not below the data set's folder")
    return photo


def part_of(product: str, seed: int = 0) -> Part:
    """The part of the split a product belongs to: 70 % train, 15 % validation, 15 % test.

    Decided by the product's name alone, so that the photos of one product stay together (the
    paper split by image, which leaks) and neither the order nor the number of rows moves one.
    """
    digest = hashlib.sha256(f"{seed}:{product}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    if share < TRAIN_SHARE:
        return "train"
    return "validation" if share < TRAIN_SHARE + VALIDATION_SHARE else "test"


def truth_of(photos: Sequence[LabelledPhoto], tags: Sequence[str]) -> NDArray[np.float32]:
    """float32 `[n, tags]`, 1 where the photo carries the tag."""
    column = {tag: index for index, tag in enumerate(tags)}
    truth = np.zeros((len(photos), len(tags)), np.float32)
    for row, photo in enumerate(photos):
        for tag in photo.tags:
            truth[row, column[tag]] = 1
    return truth


def load_pixels(
    dataset: Dataset, *, height: int, width: int, max_photo_pixels: int, min_photo_elements: int
) -> tuple[Dataset, NDArray[np.uint8]]:
    """The data set without its unreadable photos, and the pixels of the others.

    Pixels come through `to_pixels`, the very function that serves. Unreadable photos are counted
    in `rejected` by the code of their error, missing files as `missing_photo`.

    Returns:
        The remaining rows, and uint8 `[n, height, width, 3]` RGB in their order.

    Raises:
        DatasetError: the pixels would take more than `MAX_PIXELS_MB`, or no photo is readable.
    """
    size_mb = len(dataset.photos) * height * width * 3 / 1e6
    if size_mb > MAX_PIXELS_MB:
        raise DatasetError(f"{size_mb:,.0f} MB of pixels; at most {MAX_PIXELS_MB:,} are held")
    rejected = dataset.rejected.copy()
    complaints = list(dataset.complaints)
    kept: list[LabelledPhoto] = []
    pixels = np.empty((len(dataset.photos), height, width, 3), np.uint8)
    for photo in dataset.photos:
        try:
            pixels[len(kept)] = to_pixels(
                (dataset.folder / photo.photo).read_bytes(),
                width=width,
                height=height,
                max_photo_pixels=max_photo_pixels,
                min_photo_elements=min_photo_elements,
            )
        except (OSError, DecodeError) as error:
            kind = error.code if isinstance(error, DecodeError) else "missing_photo"
            if not rejected[kind]:
                complaints.append(f"{photo.photo}: {error}")
            rejected[kind] += 1
            continue
        kept.append(photo)
    if not kept:
        raise DatasetError(f"no readable photo; {_listed(complaints)}")
    return (
        Dataset(dataset.folder, tuple(kept), rejected, tuple(complaints)),
        pixels[: len(kept)],
    )


def _lines(
    path: Path, rejected: Counter[str], complaints: list[str]
) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            # Bounded, because a line without an end would otherwise fill the memory.
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                yield number, line
                while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES + 1)
    except EOFError:
        _note(_BadRow("cut_short", "the file ends in mid-stream"), number, rejected, complaints)
    except (zlib.error, gzip.BadGzipFile) as error:
        _note(_BadRow("damaged", f"the rest is lost: {error}"), number, rejected, complaints)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from None


def _note(bad: _BadRow, number: int, rejected: Counter[str], complaints: list[str]) -> None:
    if not rejected[bad.kind]:
        complaints.append(f"line {number}: {bad.kind}: {bad.detail}")
    rejected[bad.kind] += 1


def _listed(complaints: Iterable[str]) -> str:
    return "; ".join(complaints) or "the file is empty"
