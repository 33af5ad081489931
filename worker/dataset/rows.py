"""One row of a labelled data set: a photo with its product, its tags and where it came from."""

import json
import sys
from collections import Counter
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from shared.errors import DatasetError

MAX_LINE_BYTES = 1 << 20

#: Interned, because the words of half a million rows are the same few.
Word = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(sys.intern)]


class LabelledPhoto(BaseModel):
    """One line of `labels.jsonl.gz`, or the row beside a photo in a shard."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    photo: Annotated[str, StringConstraints(min_length=1, max_length=500)]  #: below the folder
    product: Word  #: near-duplicates share one
    tags: list[Word]
    paths: list[list[Word]]  #: category paths, root first
    source: Literal["catalogue", "user"]
    set_name: Annotated[Word, Field(alias="set")]  #: which collection it came from


class BadRow(DatasetError):
    """The row cannot be used."""

    def __init__(self, kind: str, detail: str) -> None:
        """`kind` is what it is counted as, such as `broken_json`."""
        super().__init__(detail)
        self.kind = kind


class Rejections:
    """What was wrong with rows: how often by kind, and the first of each kind in words."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []

    def note(self, bad: BadRow, where: str) -> None:
        """Count a row that cannot be used; `where` it stands, for people."""
        if not self.counts[bad.kind]:
            self.complaints.append(f"{where}: {bad.kind}: {bad.detail}")
        self.counts[bad.kind] += 1

    def note_many(self, kind: str, count: int, complaint: str) -> None:
        """Count rows that were found unusable before."""
        self.complaints.append(complaint)
        self.counts[kind] += count

    def __str__(self) -> str:
        return "; ".join(self.complaints) or "the file is empty"


def parse_row(line: bytes) -> LabelledPhoto:
    """One row out of one line.

    Raises:
        BadRow: it is not JSON, has missing or mistyped fields (a list written as text
            counts as such), or names a file outside the folder.
    """
    if len(line) > MAX_LINE_BYTES:
        raise BadRow("line_too_long", f"more than {MAX_LINE_BYTES} bytes")
    try:
        row: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRow("broken_json", type(error).__name__) from None
    return check_row(row)


def check_row(row: object) -> LabelledPhoto:
    """One row out of what JSON had in it.

    Raises:
        BadRow: see `parse_row`.
    """
    try:
        photo = LabelledPhoto.model_validate(row)
    except ValidationError as error:
        where = ".".join(str(step) for step in error.errors()[0]["loc"])
        raise BadRow("bad_row", f"{where or 'row'}: {error.errors()[0]['msg']}") from None
    path = PurePosixPath(photo.photo)
    if path.is_absolute() or ".." in path.parts or "\0" in photo.photo:
        raise BadRow("bad_path", "the photo is not below the data set's folder")
    return photo
