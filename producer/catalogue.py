"""A back catalogue, in CSV or Parquet, as event lines: a row is a listing as it is now.

Columns are named as an event's fields: `listing_id` and `photos` must be there; `title`,
`seller_tags`, `occurred_at`, `event_id` and `type` may. Others are left alone.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO, Final, cast
from uuid import UUID

from producer.csv_rows import csv_rows
from producer.events import MAX_ID_CHARS, EventType
from producer.lines import Line
from producer.parquet_rows import parquet_rows
from producer.rows import FIELDS, IDS, LISTS, Row
from shared.errors import EventError

#: Apart in a cell of text; a cell that begins with [ is a JSON array instead.
SEPARATOR: Final = "|"


def csv_lines(
    stream: BinaryIO, name: str, max_bytes: int, as_of: datetime | None
) -> Iterator[Line]:
    """The rows of a CSV file (RFC 4180, in UTF-8, with a header), in bounded memory.

    Args:
        stream: the file.
        name: what it is called in `rejected_event.source`.
        max_bytes: the most that a row may have; it is rejected otherwise.
        as_of: when the listings were as they stand there, where no column says so.

    Raises:
        SetupError: the header cannot be read, or lacks a column that is needed.
    """
    return _lines(csv_rows(stream, name, max_bytes, dated=as_of is not None), name, as_of)


def parquet_lines(path: str, name: str, max_bytes: int, as_of: datetime | None) -> Iterator[Line]:
    """The rows of a Parquet file; lists may be lists there, or text as in CSV.

    `name`, `max_bytes` and `as_of` are those of `csv_lines`.

    Raises:
        SetupError: it cannot be read, lacks a column, or the extra `catalogue` is missing.
    """
    return _lines(parquet_rows(path, name, max_bytes, dated=as_of is not None), name, as_of)


def _lines(rows: Iterable[Row], name: str, as_of: datetime | None) -> Iterator[Line]:
    before: dict[str, Any] = {}
    for row in rows:
        source = f"{name}:{row.number}"
        try:
            if isinstance(row.fields, EventError):
                raise row.fields
            fields = _event(row.fields, as_of)
            raw = json.dumps(fields).encode()
            _check_repetition(fields, before)
        except RecursionError:
            error = EventError("not_json", "the JSON of a cell is nested too deeply")
            yield Line(row.text, source, row.length, error, foreign=True)
        except EventError as error:
            yield Line(row.text, source, row.length, error, foreign=True)
        else:
            before = fields
            yield Line(raw, source, len(raw))


def _event(row: Mapping[str, Any], as_of: datetime | None) -> dict[str, Any]:
    fields = {name: _plain(name, row[name]) for name in FIELDS if row.get(name) is not None}
    for name in IDS:
        # Not those that are true or false, which Python counts among numbers.
        if type(fields.get(name)) is int:
            fields[name] = str(fields[name])
    for name in LISTS:
        if isinstance(cell := fields.get(name), str):
            fields[name] = _items(cell)
    if as_of is not None:
        fields.setdefault("occurred_at", as_of.isoformat())
    if fields.get("type") != EventType.DELETED:
        fields.setdefault("photos", [])
    fields.setdefault("type", EventType.CREATED)
    fields.setdefault("event_id", f"catalogue {fields.get('listing_id', '')}"[:MAX_ID_CHARS])
    return fields


def _check_repetition(fields: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    same = [fields.get(name) == before.get(name) for name in ("listing_id", "occurred_at")]
    if all(same) and fields["event_id"] == before["event_id"] and fields != before:
        raise EventError(
            "repeated_listing",
            "the row above is of the same listing at the same time: one row holds all its photos",
        )


def _items(cell: str) -> object:
    if cell.lstrip().startswith("["):
        try:
            return json.loads(cell)
        except ValueError:
            pass  # then it is text that begins so
    return [item.strip() for item in cell.split(SEPARATOR) if item.strip()]


def _plain(name: str, value: object) -> object:
    """What a cell says, as JSON has it."""
    if isinstance(value, list):
        return [_plain(name, item) for item in cast("list[object]", value)]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise EventError("not_utf8", f"{name} is not UTF-8") from None
    return str(value) if isinstance(value, Decimal | UUID) else value
