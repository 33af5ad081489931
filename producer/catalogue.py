"""A back catalogue, in CSV or Parquet, as event lines: a row is a listing as it is now.

Columns are named as an event's fields: `listing_id` and `photos` must be there; `title`,
`seller_tags`, `occurred_at`, `event_id` and `type` may. Others are left alone.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, BinaryIO, Final

from producer.events import MAX_ID_CHARS, EventType
from producer.lines import Line
from shared.errors import EventError, SetupError
from shared.extras import needing_extra

#: Apart in a cell of CSV; a cell that begins with [ is a JSON array instead.
SEPARATOR: Final = "|"

_LISTS: Final = ("photos", "seller_tags")
_IDS: Final = ("listing_id", "event_id")
_NEEDED: Final = ("listing_id", "photos")
_FIELDS: Final = (*_NEEDED, "title", "seller_tags", "occurred_at", "event_id", "type")
_ROWS: Final = 1000


def csv_lines(
    stream: BinaryIO, name: str, max_bytes: int, as_of: datetime | None
) -> Iterator[Line]:
    """The rows of a CSV file (RFC 4180, in UTF-8, with a header), in bounded memory.

    Args:
        stream: the file.
        name: what it is called in `rejected_event.source`.
        max_bytes: the most that a cell may have; its row is rejected otherwise.
        as_of: when the listings were as they stand there, where no column says so.

    Raises:
        SetupError: the header cannot be read, or lacks a column that is needed.
    """
    csv.field_size_limit(max_bytes)  # of all readers in the process, of which this is the only one
    reader = csv.reader(_text_lines(stream, max_bytes), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, list[str]())]
    except csv.Error as error:
        raise SetupError(f"{name}: its header is no CSV: {error}") from None
    _check(header, name, as_of)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raw = b"row %d" % reader.line_num
            problem = EventError("bad_csv", str(error))
            yield Line(raw, f"{name}:{reader.line_num}", len(raw), problem)
            continue
        if cells is None:
            return
        if cells:
            yield _csv_line(header, cells, f"{name}:{reader.line_num}", as_of)


def parquet_lines(path: str, name: str, as_of: datetime | None) -> Iterator[Line]:
    """The rows of a Parquet file; lists may be lists there, or text as in CSV.

    `name` and `as_of` are those of `csv_lines`.

    Raises:
        SetupError: it cannot be read, lacks a column, or the extra `catalogue` is missing.
    """
    with needing_extra("catalogue"):
        import duckdb  # noqa: PLC0415
    with duckdb.connect() as connection:
        try:
            file = connection.read_parquet(path)
            _check(file.columns, name, as_of)
            wanted = [column for column in file.columns if column in _FIELDS]
            found = file.select(*(duckdb.ColumnExpression(column) for column in wanted))
            number = 0
            while rows := found.fetchmany(_ROWS):
                for row in rows:
                    number += 1
                    yield _line(dict(zip(wanted, row, strict=True)), f"{name}:{number}", as_of)
        except duckdb.Error as error:
            raise SetupError(f"{name}: {str(error).splitlines()[0]}") from None


def _text_lines(stream: BinaryIO, max_bytes: int) -> Iterator[str]:
    first = True
    while raw := stream.readline(max_bytes + 1):
        if first:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
            first = False
        # Bytes that are no UTF-8 become what an event's text may not hold, and so are refused
        # row by row.
        yield raw.decode("utf-8", "surrogateescape")


def _check(columns: Sequence[str], name: str, as_of: datetime | None) -> None:
    lacking = [column for column in _NEEDED if column not in columns]
    if lacking:
        shown = ", ".join(columns[:20]) or "none"
        raise SetupError(f"{name} has no column {' and '.join(lacking)}; it has: {shown}")
    twice = sorted({column for column in columns if columns.count(column) > 1} & {*_FIELDS})
    if twice:
        raise SetupError(f"{name} has two columns called {twice[0]}")
    if as_of is None and "occurred_at" not in columns:
        raise SetupError(
            f"{name} has no column occurred_at: say with --as-of when its listings were like "
            "this, so that what has happened to them since is not undone"
        )


def _csv_line(header: list[str], cells: list[str], source: str, as_of: datetime | None) -> Line:
    if len(cells) != len(header):
        raw = json.dumps(cells).encode()
        detail = f"{len(cells)} cells, the header has {len(header)}"
        return Line(raw, source, len(raw), EventError("bad_csv", detail))
    # An empty cell says nothing; CSV has no other way to say that.
    row = {name: cell for name, cell in zip(header, cells, strict=True) if cell != ""}
    return _line(row, source, as_of)


def _line(row: Mapping[str, Any], source: str, as_of: datetime | None) -> Line:
    fields = {name: row[name] for name in _FIELDS if row.get(name) is not None}
    for name in _IDS:
        if isinstance(fields.get(name), int):
            fields[name] = str(fields[name])
    for name in _LISTS:
        if isinstance(fields.get(name), str):
            fields[name] = _items(fields[name])
    if as_of is not None:
        fields.setdefault("occurred_at", as_of)
    if fields.get("type") != EventType.DELETED:
        fields.setdefault("photos", [])
    fields.setdefault("type", EventType.CREATED)
    fields.setdefault("event_id", f"catalogue {fields.get('listing_id', '')}"[:MAX_ID_CHARS])
    raw = json.dumps(fields, default=_plain).encode()
    return Line(raw, source, len(raw))


def _items(cell: str) -> object:
    if cell.lstrip().startswith("["):
        try:
            return json.loads(cell)
        except ValueError:
            pass  # then it is text that begins so
    return [item.strip() for item in cell.split(SEPARATOR) if item.strip()]


def _plain(value: object) -> str:
    """Parquet's own types as JSON's. Times without a zone are in UTC there, as most write them."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00+00:00"
    return str(value)
