"""Files that are there whole or not at all, whenever the process or the machine dies."""

import os
from pathlib import Path
from typing import Final

UNFINISHED: Final = ".unfinished"


def unfinished(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(path.name + UNFINISHED)


def finish(path: Path) -> None:
    """Give the unfinished file of `path`, written and closed, its name."""
    draft = unfinished(path)
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write(path: Path, content: str) -> None:
    """Write a file of text, in place of the one that may be there."""
    unfinished(path).write_text(content, encoding="utf-8")
    finish(path)
