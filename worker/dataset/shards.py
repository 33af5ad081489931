"""Photos in tar shards, by the naming convention of WebDataset: one sample, one base name.

A sample is `<photo_id>.jpg`, `.png` or `.webp` and after it `<photo_id>.json`.
"""

import io
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import DatasetError
from worker.dataset import durable

FOLDER: Final = "shards"
MAX_ROW_BYTES: Final = 1 << 20
MEMBER_NAME: Final = re.compile(r"([0-9a-f]{16})\.(jpg|png|webp|json)")

_BLOCK: Final = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class Member:
    """Where a file's bytes lie in a shard."""

    shard: Path
    name: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            OSError: the shard cannot be read, or has become shorter than it was.
        """
        with self.shard.open("rb") as file:
            body = os.pread(file.fileno(), self.size, self.offset)
        if len(body) != self.size:
            raise OSError(f"{self.shard} ends early")
        return body


class ShardWriter:
    """Writes one shard; it has its name only once it is whole and on the disk."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where it cannot be written, as all methods do."""
        self._path = path
        self._file = durable.unfinished(path).open("wb")
        self._tar = tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)

    def add(self, photo_id: str, suffix: str, photo: bytes, row: bytes) -> None:
        """Append a sample: its photo and its row (JSON)."""
        for name, body in ((f"{photo_id}.{suffix}", photo), (f"{photo_id}.json", row)):
            info = tarfile.TarInfo(name)  # no owner, no time: equal photos make equal shards
            info.size = len(body)
            self._tar.addfile(info, io.BytesIO(body))

    def finish(self) -> None:
        """Close the shard and give it its name."""
        self._tar.close()
        self._file.close()
        durable.finish(self._path)

    def abandon(self) -> None:
        """Throw away what is not finished; does nothing to a finished shard."""
        self._file.close()
        durable.unfinished(self._path).unlink(missing_ok=True)


def shard_paths(folder: Path) -> list[Path]:
    """The finished shards of a data set, in the order of their numbers."""
    return sorted((folder / FOLDER).glob("[0-9]*.tar"))


def samples(shard: Path) -> Iterator[tuple[Member, bytes]]:
    """Each photo of a shard with its row (JSON), in their order; no photo is read.

    Raises:
        DatasetError: it cannot be read, or is not as we write shards: plain files only, each
            named as above and inside the shard, a photo always before its row.
    """
    photo: Member | None = None
    try:
        with shard.open("rb") as file:
            for member in _members(shard, file.fileno()):
                stem, _, suffix = member.name.partition(".")
                if suffix != "json":
                    if photo is not None:
                        raise DatasetError(f"{shard}: {photo.name} has no row")
                    photo = member
                    continue
                if photo is None or not photo.name.startswith(f"{stem}."):
                    raise DatasetError(f"{shard}: {member.name} has no photo before it")
                if member.size > MAX_ROW_BYTES:
                    raise DatasetError(
                        f"{shard}: {member.name} has more than {MAX_ROW_BYTES} bytes"
                    )
                yield photo, os.pread(file.fileno(), member.size, member.offset)
                photo = None
    except OSError as error:
        raise DatasetError(f"{shard}: {error.strerror or error}") from None
    if photo is not None:
        raise DatasetError(f"{shard}: {photo.name} has no row")


def _members(shard: Path, descriptor: int) -> Iterator[Member]:
    # Header by header, because TarFile follows extended headers and links of any length.
    length, at = os.fstat(descriptor).st_size, 0
    while True:
        block = os.pread(descriptor, _BLOCK, at)
        if block == bytes(_BLOCK):
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise DatasetError(f"{shard}: no tar header at byte {at} ({error})") from None
        at += _BLOCK
        if header.type != tarfile.REGTYPE or not MEMBER_NAME.fullmatch(header.name):
            raise DatasetError(f"{shard}: {header.name[:100]!r} is not a file of a shard")
        if not 0 <= header.size <= length - at:
            raise DatasetError(f"{shard}: {header.name} reaches past the end")
        yield Member(shard, header.name, at, header.size)
        at += -(-header.size // _BLOCK) * _BLOCK
