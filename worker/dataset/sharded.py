"""The rows of a data set that was downloaded to shards, checked against what was downloaded."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from shared.errors import DatasetError
from worker.dataset.ledger import SUMMARY, Summary, read_record, shard_name
from worker.dataset.rows import Rejections
from worker.dataset.shards import FOLDER, Member, samples, shard_paths

SOURCE = "photos.parquet"


def is_sharded(folder: Path) -> bool:
    """Whether photos were, or are being, downloaded to this folder."""
    return (folder / FOLDER).is_dir()


def sharded_lines(folder: Path, rejections: Rejections) -> Iterator[tuple[str, bytes, Member]]:
    """Where each row stands, the row (JSON) and its photo's place; photos are not read.

    Photos that could not be downloaded are noted among the rejections, by their codes.

    Raises:
        DatasetError: the download is unfinished, is one of another `photos.parquet` than now lies
            there, or a shard is missing, too many or damaged.
    """
    summary = read_record(folder / SUMMARY, Summary)
    if summary is None:
        raise DatasetError(f"{folder}: the download is not finished; run it again")
    if (folder / SOURCE).exists() and sha256_of(folder / SOURCE) != summary.plan.source_sha256:
        raise DatasetError(f"{folder}: {SOURCE} is not the one that was downloaded")
    shards = shard_paths(folder)
    # Their number first: a damaged file may tell of more than could ever be counted up.
    if len(shards) != summary.shards or [path.stem for path in shards] != [
        shard_name(n) for n in range(summary.shards)
    ]:
        raise DatasetError(f"{folder}: there should be {summary.shards} shards, 000000.tar on")
    for code, count in summary.failed.items():
        rejections.note_many(code, count, f"not downloaded: {code}: {count} photos")
    for shard in shards:
        for member, line in samples(shard):
            yield f"{shard.name}: {member.name}", line, member


def sha256_of(path: Path) -> str:
    """The hash of a file.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
