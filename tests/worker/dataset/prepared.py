"""A prepared data set's photos.parquet, small and made to order."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb


def parquet_row(url: str, **changes: object) -> dict[str, Any]:
    """One row, with an id of its own."""
    return {
        "photo_id": hashlib.sha256(url.encode()).hexdigest()[:16],
        "url": url,
        "product": f"product of {url}",
        "source": "catalogue",
        "set": "drawn",
        "tags": ["shapes"],
        "paths": [["Electronics", "Shapes"]],
        "position": 0,
        "content_sha256": None,
        **changes,
    }


def write_parquet(folder: Path, rows: Sequence[dict[str, Any]], *, in_order: bool = True) -> Path:
    """Writes the rows, sorted by id unless told otherwise; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    connection.execute(
        'CREATE TABLE photos (photo_id VARCHAR, url VARCHAR, product VARCHAR, "source" VARCHAR, '
        '"set" VARCHAR, tags VARCHAR[], "paths" VARCHAR[][], "position" INTEGER, '
        "content_sha256 VARCHAR)"
    )
    for row in sorted(rows, key=lambda row: row["photo_id"]) if in_order else rows:
        connection.execute("INSERT INTO photos VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [*row.values()])
    connection.execute(f"COPY photos TO '{folder / 'photos.parquet'}' (FORMAT parquet)")
    connection.close()
    return folder
