"""The pixels of a data set at one size: made once, by several threads, and kept on disk."""

import fcntl
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import DatasetError, DecodeError, TooLarge
from worker.dataset.labelled import Dataset, LabelledPhoto
from worker.decode.pixels import PREPROCESSING, Pixels, to_pixels

#: What is held in memory where there is no folder to keep pixels in.
MAX_PIXELS_MB = 4096
#: Photos that are made into pixels before they are written down as done.
CHUNK_PHOTOS: Final = 512


class _Unreadable(BaseModel):
    """A photo that has no pixels."""

    model_config = ConfigDict(frozen=True, strict=True)

    row: int
    code: str
    sentence: str


class _Chunk(BaseModel):
    """A line of the log: the rows `first` to `end`, exclusive, are on disk but for these."""

    model_config = ConfigDict(frozen=True, strict=True)

    first: int
    end: int
    unreadable: list[_Unreadable]


@dataclass(frozen=True, slots=True)
class _Size:
    height: int
    width: int
    max_photo_pixels: int
    min_photo_elements: int
    preprocessing: str

    def pixels_of(self, dataset: Dataset, photo: LabelledPhoto) -> Pixels | tuple[str, str]:
        """Pixels as in service, or the code and the sentence of why there are none."""
        try:
            return to_pixels(
                dataset.body(photo),
                width=self.width,
                height=self.height,
                max_photo_pixels=self.max_photo_pixels,
                min_photo_elements=self.min_photo_elements,
                preprocessing=self.preprocessing,
            )
        except (DecodeError, TooLarge) as error:
            return error.code, str(error)
        except OSError as error:
            return "missing_photo", error.strerror or str(error)


def pixel_store(
    dataset: Dataset,
    work: Path | None,
    *,
    height: int,
    width: int,
    max_photo_pixels: int,
    min_photo_elements: int,
    preprocessing: str = PREPROCESSING,
) -> tuple[Dataset, NDArray[np.uint8]]:
    """The data set without its unreadable photos, and the pixels of the others.

    Pixels come through `to_pixels`, the very function that serves. Unreadable photos are counted
    in `rejected` by the code of their error, missing files as `missing_photo`.

    Args:
        dataset: the rows.
        work: folder that keeps the pixels, in a file that is mapped into memory, for the next
            call with the same photos, preprocessing and size; a killed call goes on where it was.
            None keeps them in memory.
        height, width: of every photo's pixels.
        max_photo_pixels, min_photo_elements: photos beyond these limits are unreadable.
        preprocessing: see `worker.decode.pixels`.

    Returns:
        The remaining rows, and uint8 `[n, height, width, 3]` RGB in their order: a read-only
        `np.memmap` where `work` is given.

    Raises:
        DatasetError: no photo is readable, the pixels would take more than `MAX_PIXELS_MB` of
            memory, or the disk is full or fails.
    """
    size = _Size(height, width, max_photo_pixels, min_photo_elements, preprocessing)
    shape = (len(dataset.photos), height, width, 3)
    chunks: list[_Chunk] = []
    if work is None:
        size_mb = np.prod(shape, dtype=np.int64) / 1e6
        if size_mb > MAX_PIXELS_MB:
            raise DatasetError(f"{size_mb:,.0f} MB of pixels; at most {MAX_PIXELS_MB:,} are held")
        pixels = np.empty(shape, np.uint8)
        chunks += _fill(dataset, pixels, size, chunks)
    else:
        folder = work / f"pixels-{_key(dataset, size)[:16]}"
        try:
            pixels = _on_disk(folder, dataset, size, chunks)
        except OSError as error:
            raise DatasetError(f"{folder}: {error.strerror or error}") from None
    return _without_unreadable(dataset, pixels, chunks)


def _on_disk(
    folder: Path, dataset: Dataset, size: _Size, chunks: list[_Chunk]
) -> NDArray[np.uint8]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second training waits for the first one's pixels
        try:
            return _made(folder, dataset, size, chunks)
        except ValueError as error:
            raise DatasetError(f"{folder} is damaged, remove it: {error}") from None


def _made(folder: Path, dataset: Dataset, size: _Size, chunks: list[_Chunk]) -> NDArray[np.uint8]:
    log, file = folder / "chunks.jsonl", folder / "pixels.npy"
    chunks += _read_log(log) if file.exists() else []
    if not chunks:
        log.unlink(missing_ok=True)
        _allocate(file, (len(dataset.photos), size.height, size.width, 3))
    if not chunks or chunks[-1].end < len(dataset.photos):
        pixels = np.lib.format.open_memmap(file, mode="r+")
        # Rewritten, so that a line that a kill cut short does not stay in the middle.
        with log.open("w") as lines:
            lines.writelines(f"{chunk.model_dump_json()}\n" for chunk in chunks)
            for chunk in _fill(dataset, pixels, size, chunks):
                pixels.flush()  # before the line that says so
                lines.write(f"{chunk.model_dump_json()}\n")
                lines.flush()
                os.fsync(lines.fileno())
                chunks.append(chunk)
    return np.lib.format.open_memmap(file, mode="r")


def _allocate(file: Path, shape: tuple[int, ...]) -> None:
    """An empty `.npy` file that has all its blocks.

    Without them a disk that fills up would end the process by SIGBUS at a write to the map.
    """
    try:
        np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape).flush()
        with file.open("r+b") as handle:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)
    except OSError as error:
        file.unlink(missing_ok=True)
        size_mb = np.prod(shape, dtype=np.int64) / 1e6
        raise DatasetError(f"{file.parent}: no {size_mb:,.0f} MB ({error.strerror})") from None


def _read_log(log: Path) -> list[_Chunk]:
    """The chunks that follow one another from the first row on."""
    chunks: list[_Chunk] = []
    if log.exists():
        for line in log.read_bytes().splitlines():
            try:
                chunk = _Chunk.model_validate_json(line)
            except ValidationError:
                break
            if chunk.first != (chunks[-1].end if chunks else 0) or chunk.end <= chunk.first:
                break
            chunks.append(chunk)
    return chunks


def _fill(
    dataset: Dataset, pixels: NDArray[np.uint8], size: _Size, done: Sequence[_Chunk]
) -> Iterator[_Chunk]:
    """Write the pixels of the chunks that are not done: readable rows close up to each other."""
    start = done[-1].end if done else 0
    place = start - sum(len(chunk.unreadable) for chunk in done)
    with ThreadPoolExecutor(os.cpu_count(), "pixels") as threads:
        for first in range(start, len(dataset.photos), CHUNK_PHOTOS):
            rows = dataset.photos[first : first + CHUNK_PHOTOS]
            unreadable: list[_Unreadable] = []
            made = threads.map(partial(size.pixels_of, dataset), rows)
            for row, result in enumerate(made, start=first):
                if isinstance(result, tuple):
                    code, sentence = result
                    unreadable.append(_Unreadable(row=row, code=code, sentence=sentence))
                else:
                    pixels[place] = result
                    place += 1
            yield _Chunk(first=first, end=first + len(rows), unreadable=unreadable)


def _without_unreadable(
    dataset: Dataset, pixels: NDArray[np.uint8], chunks: Sequence[_Chunk]
) -> tuple[Dataset, NDArray[np.uint8]]:
    rejected: Counter[str] = dataset.rejected.copy()
    complaints = list(dataset.complaints)
    gone: set[int] = set()
    for photo in (photo for chunk in chunks for photo in chunk.unreadable):
        if not rejected[photo.code]:
            complaints.append(f"{dataset.photos[photo.row].photo}: {photo.sentence}")
        rejected[photo.code] += 1
        gone.add(photo.row)
    kept = tuple(photo for row, photo in enumerate(dataset.photos) if row not in gone)
    if not kept:
        raise DatasetError(f"no readable photo; {'; '.join(complaints)}")
    readable = replace(dataset, photos=kept, rejected=rejected, complaints=tuple(complaints))
    return readable, pixels[: len(kept)]


def _key(dataset: Dataset, size: _Size) -> str:
    """The hash of all that decides the pixels: photos and their order, how and at what size."""
    digest = hashlib.sha256(json.dumps([repr(size), dataset.sha256, CHUNK_PHOTOS]).encode())
    for photo in dataset.photos:
        digest.update(json.dumps([photo.photo, dataset.stamp(photo)]).encode())
    return digest.hexdigest()
