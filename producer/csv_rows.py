"""The rows of a CSV file (RFC 4180), each whole or not at all, in bounded memory."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import BinaryIO, Final

from producer.rows import Row, check_columns
from shared.errors import EventError, SetupError

_QUOTE: Final = ord('"')
_BOM: Final = b"\xef\xbb\xbf"


def csv_rows(stream: BinaryIO, name: str, max_bytes: int, *, dated: bool) -> Iterator[Row]:
    """The rows after the header.

    Where one ends is found out before anything of it is believed: what a seller wrote into a
    quoted cell, line ends and all, is never read as rows of others, however long it is.

    Args:
        stream: the file, in UTF-8.
        name: what it is called in messages.
        max_bytes: the most that a row may have.
        dated: as for `check_columns`.

    Raises:
        SetupError: the header cannot be read, or lacks a column that is needed.
    """
    csv.field_size_limit(max_bytes)  # of all readers in the process, of which these are the only
    found = _records(stream, max_bytes)
    header = next(found, _Record(b"", 0, 1))
    try:
        columns = [cell.strip() for cell in _cells(header, max_bytes)]
    except EventError as error:
        raise SetupError(f"{name}: its header is no CSV: {error.detail}") from None
    check_columns(columns, name, dated=dated)
    for record in found:
        try:
            fields = _fields(record, columns, max_bytes)
        except EventError as error:
            fields = error
        yield Row(record.number, fields, record.text, record.length)


@dataclass(frozen=True, slots=True)
class _Record:
    text: bytes  #: without its line end; only the beginning of one that is too long
    length: int  #: bytes of the whole
    number: int  #: of its first line
    closed: bool = True  #: as every quote must be before the file ends


class _Place(Enum):
    """Where in a row one is."""

    START = auto()  #: of a cell
    PLAIN = auto()  #: in a cell without quotes, where a quote means nothing
    QUOTED = auto()
    CLOSED = auto()  #: behind a quote that ends a cell, or is the first of two


def _records(stream: BinaryIO, max_bytes: int) -> Iterator[_Record]:
    """The rows that are not blank. Of one that is too long, a byte more than it may have is kept.

    A row that is broken ends at the first line end that is not in quotes.
    """
    line = 1
    while True:
        kept, length, number, place = bytearray(), 0, line, _Place.START
        while piece := stream.readline(max_bytes + 1):
            if line == 1 and not length:
                piece = piece.removeprefix(_BOM)
            place = _behind(piece, place)
            line += piece.endswith(b"\n")
            ends = piece.endswith(b"\n") and place is not _Place.QUOTED
            if ends:
                piece = piece.removesuffix(b"\n").removesuffix(b"\r")
            length += len(piece)
            kept += piece[: max_bytes + 1 - len(kept)]
            if ends:
                break
        else:
            if not length:
                return
        if length:
            yield _Record(bytes(kept), length, number, place is not _Place.QUOTED)


def _behind(piece: bytes, place: _Place) -> _Place:
    """Where one is after a piece of a row, as Python's csv module sees it."""
    at = 0
    while at < len(piece):
        if place is _Place.QUOTED:
            at = piece.find(b'"', at) + 1
            if not at:
                break
            place = _Place.CLOSED
        elif piece[at] == _QUOTE and place is not _Place.PLAIN:
            place = _Place.QUOTED
            at += 1
        else:
            comma = piece.find(b",", at) + 1
            place = _Place.START if comma else _Place.PLAIN
            at = comma or len(piece)
    return place


def _fields(record: _Record, columns: list[str], max_bytes: int) -> dict[str, str]:
    cells = _cells(record, max_bytes)
    if len(cells) != len(columns):
        raise EventError("bad_csv", f"{len(cells)} cells, the header has {len(columns)}")
    # An empty cell says nothing; CSV has no other way to say that.
    return {name: cell for name, cell in zip(columns, cells, strict=True) if cell != ""}


def _cells(record: _Record, max_bytes: int) -> list[str]:
    if not record.closed:
        raise EventError("bad_csv", f"a quote that never ends, and {record.length} bytes after it")
    if record.length > max_bytes:
        raise EventError("bad_csv", f"a row of {record.length} bytes, at most {max_bytes}")
    # Bytes that are no UTF-8 become what an event's text may not hold, and so are refused.
    text = record.text.decode("utf-8", "surrogateescape")
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise EventError("bad_csv", str(error)) from None
