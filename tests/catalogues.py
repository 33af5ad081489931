"""Catalogues as lines, for tests."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from producer.catalogue import csv_lines, parquet_lines
from producer.lines import Line

AS_OF = datetime(2026, 1, 2, tzinfo=UTC)


def from_csv(content: str | bytes, as_of: datetime | None = AS_OF, most: int = 1000) -> list[Line]:
    """The lines of a CSV file."""
    raw = content if isinstance(content, bytes) else content.encode()
    return [*csv_lines(io.BytesIO(raw), "shop.csv", most, as_of)]


def from_parquet(path: Path, query: str, most: int = 1 << 20) -> list[Line]:
    """The lines of a Parquet file made by a query."""
    with duckdb.connect() as connection:
        connection.sql(query).write_parquet(str(path))
    return [*parquet_lines(str(path), "shop.parquet", most, None)]


def fields_of(line: Line) -> dict[str, Any]:
    """What a line that is an event says."""
    assert line.error is None, line.error
    return json.loads(line.raw)
