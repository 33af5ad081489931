# pyright: reportUnknownMemberType=false
"""Under what the products of a data set are filed: the table that related tags are made of."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import DatasetError
from shared.extras import needing_extra
from worker.dataset.labelled import LABELS, read_dataset
from worker.dataset.utf8 import in_utf8

PREPARED: Final = "photos.parquet"
_COLUMNS: Final = {"product": "VARCHAR", "tags": "VARCHAR[]", "paths": "VARCHAR[][]"}
# `list_count` counts what is not missing.
_GAPS: Final = """
SELECT bool_or(
    product IS NULL OR coalesce(list_count(tags) < len(tags), true)
    OR coalesce(list_count(paths) < len(paths), true)
    OR list_count(flatten(paths)) < len(flatten(paths))
) FROM read_parquet(?)
"""


@dataclass(frozen=True, slots=True)
class Filing:
    """What some of a product's photos say it is filed under."""

    product: str
    tags: tuple[str, ...]  #: its labels
    paths: tuple[tuple[str, ...], ...]  #: its category paths, root first
    rows: int  #: how many photos say so


def read_filings(folder: Path) -> tuple[list[Filing], Counter[str]]:
    """The filings of a data set, in order of first sight, and what could not be used, by kind.

    Args:
        folder: a labelled data set, or what `tagger dataset prepare` made.

    Raises:
        DatasetError: it is neither, or holds no usable row.
        SetupError: a prepared table cannot be read without the extra `train`.
    """
    if not (folder / LABELS).exists() and (folder / PREPARED).exists():
        return _prepared(folder / PREPARED), Counter()
    dataset = read_dataset(folder)
    counted = Counter(
        (photo.product, tuple(photo.tags), tuple(map(tuple, photo.paths)))
        for photo in dataset.photos
    )
    filings = [Filing(*filing, rows=rows) for filing, rows in counted.items()]
    return filings, dataset.rejected


def _prepared(path: Path) -> list[Filing]:
    name = in_utf8(path)
    with needing_extra("train"):
        import duckdb  # noqa: PLC0415
    try:
        with duckdb.connect() as connection:
            described = connection.execute("DESCRIBE FROM read_parquet(?)", [name]).fetchall()
            kinds = {column: kind for column, kind, *_ in described}
            for column, kind in _COLUMNS.items():
                if kinds.get(column) != kind:
                    raise DatasetError(f"{path}: column {column} should be {kind}")
            if connection.execute(_GAPS, [name]).fetchone() == (True,):
                raise DatasetError(f"{path}: a row lacks its product, or something of its lists")
            # Grouped inside DuckDB: there may be millions of photos, but far fewer products.
            found = connection.execute(
                """
                SELECT product, tags, paths, count(*) FROM read_parquet(?, file_row_number = true)
                GROUP BY ALL ORDER BY min(file_row_number)
                """,
                [name],
            ).fetchall()
    except duckdb.Error as error:
        raise DatasetError(f"{path}: {str(error).splitlines()[0]}") from None
    if not found:
        raise DatasetError(f"{path}: no usable row")
    return [
        Filing(product, tuple(tags), tuple(map(tuple, paths)), rows)
        for product, tags, paths, rows in found
    ]
