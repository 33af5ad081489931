"""The rows of a Parquet file, in bounded memory whatever it unpacks to."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from producer.rows import FIELDS, Row, check_columns
from shared.errors import EventError, SetupError
from shared.extras import needing_extra

#: What DuckDB may hold; it gives up beyond that.
_MEMORY: Final = "512MB"
#: At a time, each of at most `max_bytes`.
_ROWS: Final = 16
#: Of a row that is too large these cells are kept, to know it by.
_SHOWN_BYTES: Final = 1000
_SHOWN_CHARS: Final = 100

#: How many bytes text has, by its type.
_BYTES: Final = {"VARCHAR": "strlen", "JSON": "strlen", "BLOB": "octet_length"}
_TIMES: Final = re.compile(r"DATE|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE")
_SMALL: Final = re.compile(
    r'U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|BOOLEAN|FLOAT|DOUBLE|DECIMAL\(.*\)|UUID|"?NULL"?'
)


@dataclass(frozen=True, slots=True)
class _Column:
    """One that is read, in SQL."""

    name: str
    size: str  #: bytes of a cell, where its type does not bound them
    value: str
    unfit: str = ""  #: why it cannot be read; `value` then says whether a cell is there

    @property
    def quoted(self) -> str:
        return f'"{self.name}"'


def parquet_rows(path: str, name: str, max_bytes: int, *, dated: bool) -> Iterator[Row]:
    """Its rows: text, numbers, bytes and lists of them; moments as ISO 8601 text.

    Moments without a time zone are taken for UTC, as most programs write them.

    Args:
        path: the file, by its very name: nothing in it is a pattern.
        name: what it is called in messages.
        max_bytes: the most that a row may have in the columns that are read.
        dated: as for `check_columns`.

    Raises:
        SetupError: it cannot be read or not within bounds, lacks a column, or the extra
            `catalogue` is missing.
    """
    with needing_extra("catalogue"):
        import duckdb  # noqa: PLC0415
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _MEMORY,
        "threads": 1,
        "temp_directory": "",
        "autoload_known_extensions": False,
        "autoinstall_known_extensions": False,
    }
    with duckdb.connect(config=config) as connection:
        try:
            file = connection.read_parquet(_literally(path), hive_partitioning=False)
            check_columns(file.columns, name, dated=dated)
            columns = [
                _column(column, str(type_), max_bytes)
                for column, type_ in zip(file.columns, file.types, strict=True)
                if column in FIELDS
            ]
            names = ", ".join(column.quoted for column in columns)
            size = " + ".join(column.size for column in columns)
            values = ", ".join(column.value for column in columns)
            sized = file.project(f"{names}, {size} AS row_bytes")
            found = sized.project(f"row_bytes, {values}")
            number = 0
            while rows := found.fetchmany(_ROWS):
                for length, *cells in rows:
                    number += 1
                    yield _row(number, int(length), columns, cells, max_bytes)
        except duckdb.Error as error:
            raise SetupError(f"{name}: {str(error).splitlines()[0]}") from None


def _literally(path: str) -> str:
    """A path that DuckDB takes for no URL and no pattern."""
    return re.sub(r"([*?[])", r"[\1]", str(Path(path).absolute()))


def _column(name: str, type_: str, max_bytes: int) -> _Column:
    cell = f'"{name}"'
    item = type_.removesuffix("[]")
    size = None
    if type_ in _BYTES:
        size = f"coalesce({_BYTES[type_]}({cell}), 0)"
    elif item in _BYTES:
        texts = f"list_sum(list_transform({cell}, lambda item: {_BYTES[item]}(item)))"
        size = f"coalesce(8 * len({cell}) + coalesce({texts}, 0), 0)"
    elif item != type_ and _SMALL.fullmatch(item):
        size = f"coalesce(8 * len({cell}), 0)"
    if size:
        fits = f"row_bytes <= {max_bytes} OR {size} <= {_SHOWN_BYTES}"
        return _Column(name, size, f"CASE WHEN {fits} THEN {cell} END")
    if _TIMES.fullmatch(type_):
        # As text: Python's years end at 9999, and its time zones need a package.
        text = f"coalesce(CAST(make_timestamp(epoch_us({cell})) AS VARCHAR), 'infinity')"
        text = f"CASE WHEN {cell} IS NOT NULL THEN replace({text}, ' ', 'T') || '+00:00' END"
        return _Column(name, "0", text)
    if _SMALL.fullmatch(type_):
        return _Column(name, "0", cell)
    unfit = f"{name} is a {type_[:_SHOWN_CHARS]}"
    return _Column(name, "0", f"CASE WHEN {cell} IS NOT NULL THEN true END", unfit)


def _row(
    number: int, length: int, columns: Sequence[_Column], cells: Sequence[Any], max_bytes: int
) -> Row:
    fields = {column.name: cell for column, cell in zip(columns, cells, strict=True)}
    text = json.dumps(fields, default=repr).encode()
    if length > max_bytes:
        detail = f"a row of {length} bytes, at most {max_bytes}"
        return Row(number, EventError("too_large", detail), text, length)
    for column in columns:
        if column.unfit and fields[column.name]:
            return Row(number, EventError("wrong_type", column.unfit), text, length)
    return Row(number, fields, text, length)
