"""Names that the reports, JSON and DuckDB can hold: Linux takes any bytes for a path or a word."""

from pathlib import Path

from shared.errors import DatasetError


def in_utf8(name: str | Path) -> str:
    """The name as text.

    Raises:
        DatasetError: its bytes are not UTF-8.
    """
    text = str(name)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DatasetError(f"{text!a} is not UTF-8; give it another name") from None
    return text
