"""Reading a labelled data set: its rows, its hash, the bytes of its photos, its truth."""

import gzip
import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shared.errors import DatasetError, TooLarge
from worker.dataset import near_duplicates
from worker.dataset.plain_file import open_plain
from worker.dataset.rows import MAX_LINE_BYTES, BadRow, LabelledPhoto, Rejections, parse_row
from worker.dataset.sharded import SOURCE, is_sharded, sharded_lines
from worker.dataset.shards import FOLDER as SHARDS
from worker.dataset.shards import Member

LABELS = "labels.jsonl.gz"
#: No photo is larger, whatever a service is set to take; what is larger is not read.
MAX_PHOTO_BYTES = 64 << 20

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """The usable rows of a data set, and what was wrong with the others."""

    folder: Path
    photos: tuple[LabelledPhoto, ...]
    rejected: Counter[str]  #: rows by what is wrong with them
    complaints: tuple[str, ...]  #: the first of each kind, with its line number
    #: Where each photo lies, if not in a file of its own below the folder.
    members: Mapping[str, Member] = field(default_factory=dict[str, Member])
    #: The group of each photo that has near-duplicates, where these were looked for.
    near_duplicates: Mapping[str, str] = field(default_factory=dict[str, str])

    def body(self, photo: LabelledPhoto) -> bytes:
        """The photo's bytes, out of its file or its shard.

        Raises:
            OSError: they cannot be read, or are no plain file's.
            TooLarge: there are more than `MAX_PHOTO_BYTES`.
        """
        member = self.members.get(photo.photo)
        if member is not None:
            _bounded(member.size)
            return member.read()
        with open_plain(self.folder / photo.photo) as file:
            _bounded(os.fstat(file.fileno()).st_size)
            return file.read(MAX_PHOTO_BYTES)

    def stamp(self, photo: LabelledPhoto) -> str:
        """What changes when the photo's bytes do, without reading them."""
        member = self.members.get(photo.photo)
        try:
            status = (member.shard if member else self.folder / photo.photo).stat()
        except OSError:
            return "missing"
        where = f"{member.offset}+{member.size} " if member else ""
        return f"{where}{status.st_size} {status.st_mtime_ns}"

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
    """The rows of `labels.jsonl.gz` under `folder`, or of the shards that were downloaded to it.

    A row that cannot be used is counted by kind (`broken_json`, `bad_row`, `bad_path`,
    `duplicate`, `line_too_long`) and never fatal by itself; the rest of a file that is `cut_short`
    or `damaged` counts once.

    Raises:
        DatasetError: there is neither, a download is unfinished or damaged, or no row is usable.
    """
    rejections = Rejections()
    photos: dict[str, LabelledPhoto] = {}
    members: dict[str, Member] = {}
    source = folder / (SHARDS if is_sharded(folder) else LABELS)
    if not is_sharded(folder):
        if not source.exists() and (folder / SOURCE).exists():
            raise DatasetError(f"{folder} is not downloaded yet; `tagger dataset download` does it")
        lines = _lines(source, rejections)
    elif (folder / LABELS).exists():
        raise DatasetError(f"{folder}: holds two data sets, {LABELS} and {SHARDS}")
    else:
        lines = sharded_lines(folder, rejections)
    for where, line, member in lines:
        try:
            photo = _new_row(line, member, photos)
        except BadRow as bad:
            rejections.note(bad, where)
            continue
        photos[photo.photo] = photo
        if member is not None:
            members[photo.photo] = member
    if not photos:
        raise DatasetError(f"{source}: no usable row; {rejections}")
    return Dataset(
        folder,
        tuple(photos.values()),
        rejections.counts,
        tuple(rejections.complaints),
        members,
        near_duplicates.read(folder) if members else {},
    )


def _new_row(line: bytes, member: Member | None, known: Container[str]) -> LabelledPhoto:
    photo = parse_row(line)
    if member is not None and photo.photo != member.name:
        raise BadRow("bad_row", f"the row of {member.name} is of another photo")
    if photo.photo in known:
        raise BadRow("duplicate", photo.photo)
    return photo


def _bounded(size: int) -> None:
    if size > MAX_PHOTO_BYTES:
        raise TooLarge(f"{size:,} bytes; at most {MAX_PHOTO_BYTES:,} are read")


def truth_of(photos: Sequence[LabelledPhoto], tags: Sequence[str]) -> NDArray[np.float32]:
    """float32 `[n, tags]`, 1 where the photo carries the tag."""
    column = {tag: index for index, tag in enumerate(tags)}
    truth = np.zeros((len(photos), len(tags)), np.float32)
    for row, photo in enumerate(photos):
        for tag in photo.tags:
            truth[row, column[tag]] = 1
    return truth


def _lines(path: Path, rejections: Rejections) -> Iterator[tuple[str, bytes, None]]:
    number = 0
    try:
        with open_plain(path) as stream, gzip.open(stream, "rb") as file:
            # Bounded, because a line without an end would otherwise fill the memory.
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                yield f"line {number}", line, None
                while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES + 1)
    except EOFError:
        rejections.note(BadRow("cut_short", "the file ends in mid-stream"), f"line {number}")
    except (zlib.error, gzip.BadGzipFile) as error:
        rejections.note(BadRow("damaged", f"the rest is lost: {error}"), f"line {number}")
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from None
