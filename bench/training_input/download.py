"""Photos of a labelled folder, downloaded to shards by the real command from a loopback origin."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from bench.throughput.child import Child
from bench.throughput.contest import LIMIT_S
from bench.throughput.cpu import measuring
from bench.throughput.origin import Origin
from bench.throughput.photos import PhotoSet
from shared.errors import SetupError
from worker.dataset.cli import EXIT_FAILED
from worker.dataset.labelled import Dataset, read_dataset
from worker.dataset.ledger import SUMMARY, Summary, read_record
from worker.dataset.rows import LabelledPhoto
from worker.dataset.sharded import SOURCE
from worker.dataset.utf8 import in_utf8

_COLUMNS: Final = {
    "photo_id": "VARCHAR",
    "url": "VARCHAR",
    "product": "VARCHAR",
    "source": "VARCHAR",
    "set": "VARCHAR",
    "tags": "VARCHAR[]",
    "paths": "VARCHAR[][]",
}


@dataclass(frozen=True, slots=True)
class Download:
    """One call of `tagger dataset download`."""

    photos: int
    failed: Mapping[str, int]  #: by code
    seconds: float  #: as the command counts them: without the start of its process
    cpu_s: Mapping[str, float]  #: of the command, start included, and of the origin
    megabytes: float  #: that were fetched

    @property
    def photos_per_s(self) -> float:
        """Photos a second, failed ones included."""
        return self.photos / self.seconds


def chosen(data: Path, limit: int) -> tuple[PhotoSet, list[LabelledPhoto]]:
    """So many photos of a labelled folder, from all over it, and what is known of them.

    Raises:
        DatasetError: it has no usable row.
        SetupError: its photos are in shards already.
    """
    dataset: Dataset = read_dataset(data)
    if dataset.members:
        raise SetupError(f"{data} has its photos in shards: name a folder of plain files")
    step = max(1, len(dataset.photos) // limit)
    rows = list(dataset.photos[::step][:limit])
    files = tuple(Path(row.photo) for row in rows)
    total = sum((data / file).stat().st_size for file in files)
    return PhotoSet("labelled", data, files, total / len(files), "thumbnail"), rows


def prepare(folder: Path, rows: Sequence[LabelledPhoto], urls: Sequence[str]) -> None:
    """Writes what `tagger dataset prepare` would have made of these photos."""
    folder.mkdir(parents=True)
    lines = folder / "photos.jsonl"
    with lines.open("w") as stream:
        for row, url in zip(rows, urls, strict=True):
            described = {
                "photo_id": hashlib.sha256(url.encode()).hexdigest()[:16],
                "url": url,
                "product": row.product,
                "source": row.source,
                "set": row.set_name,
                "tags": row.tags,
                "paths": row.paths,
            }
            stream.write(json.dumps(described) + "\n")
    names = ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items())
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            COPY (
                FROM read_json('{in_utf8(lines)}', format = 'newline_delimited',
                    columns = {{{names}}}) ORDER BY photo_id
            ) TO '{in_utf8(folder / SOURCE)}' (FORMAT parquet)
            """
        )
    lines.unlink()


def download(folder: Path, origin: Origin) -> Download:
    """Runs the command on a prepared folder.

    Raises:
        SetupError: it does not end as it should.
    """
    environment = {
        **os.environ,
        "TAGGER_ALLOW_PRIVATE_HOSTS": "true",
        "TAGGER_ALLOWED_PORTS": origin.url.rpartition(":")[2],
    }
    child = Child(
        [sys.executable, "-m", "tagger", "dataset", "download", str(folder.resolve())],
        log=folder / "download.log",
        environment=environment,
        limit_s=LIMIT_S,
    )
    with child:
        roots = {"download": child.pid, "origin": origin.pid}
        with measuring(roots, memory_of="download") as usage:
            code = child.feed("")
    summary = read_record(folder / SUMMARY, Summary)
    if code not in {0, EXIT_FAILED} or summary is None:
        raise SetupError(f"tagger dataset download: exit code {code}; see {folder}")
    return Download(
        photos=summary.last_run.photos,
        failed=summary.failed,
        seconds=summary.last_run.seconds,
        cpu_s=usage.cpu_s,
        megabytes=summary.fetched_bytes / 1e6,
    )
