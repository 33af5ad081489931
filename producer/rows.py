"""A row of a catalogue, whatever file it comes from, and the columns that are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import EventError, SetupError

LISTS: Final = ("photos", "seller_tags")
IDS: Final = ("listing_id", "event_id")
_NEEDED: Final = ("listing_id", "photos")
FIELDS: Final = (*_NEEDED, "title", "seller_tags", "occurred_at", "event_id", "type")


@dataclass(frozen=True, slots=True)
class Row:
    """One row, and where it stood."""

    number: int  #: from 1: of its first line in CSV, of the row in Parquet
    fields: Mapping[str, Any] | EventError  #: by column; or why it cannot be read
    text: bytes  #: as it stands there, as far as it is kept
    length: int  #: bytes of the whole row


def check_columns(columns: Sequence[str], name: str, *, dated: bool) -> None:
    """Looks whether a file has what is needed.

    Args:
        columns: what its columns are called.
        name: what the file is called.
        dated: whether somebody said when its listings were as they stand there.

    Raises:
        SetupError: it has not.
    """
    lacking = [column for column in _NEEDED if column not in columns]
    if lacking:
        shown = ", ".join(columns[:20]) or "none"
        raise SetupError(f"{name} has no column {' and '.join(lacking)}; it has: {shown}")
    twice = sorted({column for column in columns if columns.count(column) > 1} & {*FIELDS})
    if twice:
        raise SetupError(f"{name} has two columns called {twice[0]}")
    if not dated and "occurred_at" not in columns:
        raise SetupError(
            f"{name} has no column occurred_at: say with --as-of when its listings were like "
            "this, so that what has happened to them since is not undone"
        )
