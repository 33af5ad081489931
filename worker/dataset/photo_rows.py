"""The rows of `photos.parquet`, which say what to download: streamed, never all in memory."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from shared.errors import DatasetError
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
#: Of photos that were voted on; data sets of earlier versions lack it.
_CONTENT: Final = "content_sha256"
_PHOTO_ID: Final = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class PhotoRow:
    """A photo to be downloaded, as the parquet file has it; only the id is known to be one."""

    photo_id: str
    url: str
    product: str
    source: str
    set_name: str
    tags: list[str]
    paths: list[list[str]]
    content_sha256: str  #: of the only bytes that are taken; empty for any


class PhotoRows:
    """The rows of a file, in its order, which is that of their ids."""

    def __init__(self, path: Path) -> None:
        """Looks at the columns.

        Raises:
            DatasetError: it is not there, is no parquet file, or has other columns.
        """
        if not path.is_file():
            raise DatasetError(f"{path} is not there; `tagger dataset prepare` makes it")
        self._name = in_utf8(path)
        self._path = path
        self._connection = duckdb.connect(config={"threads": 1})
        columns = {
            name: kind
            for name, kind, *_ in self._query("DESCRIBE FROM read_parquet($path)").fetchall()
        }
        for name, kind in _COLUMNS.items():
            if columns.get(name) != kind:
                raise DatasetError(f"{path}: column {name} should be {kind}")
        names = [f'"{name}"' for name in _COLUMNS]
        self._selected = ", ".join([*names, f'"{_CONTENT}"' if _CONTENT in columns else "NULL"])

    def count(self) -> int:
        """How many rows there are."""
        (row,) = self._query("SELECT count(*) FROM read_parquet($path)").fetchall()
        return int(row[0])

    def batches(self, rows: int) -> Iterator[list[PhotoRow]]:
        """All rows, `rows` at a time.

        Raises:
            DatasetError: the file cannot be read, or an id is malformed or not larger than the
                one before it.
        """
        result = self._query(f"SELECT {self._selected} FROM read_parquet($path)")  # noqa: S608  # ours
        last = ""
        while batch := self._fetch(result, rows):
            for row in batch:
                if not _PHOTO_ID.fullmatch(row.photo_id) or row.photo_id <= last:
                    raise DatasetError(
                        f"{self._path}: photo_id {row.photo_id[:40]!r} after {last!r}"
                    )
                last = row.photo_id
            yield batch

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _query(self, statement: str) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(statement, {"path": self._name})
        except duckdb.Error as error:
            raise DatasetError(f"{self._path}: {_first_line(error)}") from None

    def _fetch(self, result: duckdb.DuckDBPyConnection, rows: int) -> list[PhotoRow]:
        try:
            fetched = result.fetchmany(rows)
        except duckdb.Error as error:
            raise DatasetError(f"{self._path}: {_first_line(error)}") from None
        return [_row(cells) for cells in fetched]


def _row(cells: Sequence[Any]) -> PhotoRow:
    # A missing value becomes an empty one, which the check of the row then names.
    photo_id, url, product, source, set_name = (cell or "" for cell in cells[:5])
    return PhotoRow(
        photo_id, url, product, source, set_name, cells[5] or [], cells[6] or [], cells[7] or ""
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
