# pyright: reportUnknownMemberType=false
"""Under what the products of a data set are filed: the table that related tags are made of."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import DatasetError, SetupError
from worker.dataset.labelled import LABELS, read_dataset

PREPARED: Final = "photos.parquet"


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
    try:
        import duckdb  # noqa: PLC0415  # part of the extra `train`
    except ImportError:
        raise SetupError("reading photos.parquet needs the extra `train`") from None
    try:
        with duckdb.connect() as connection:
            # Grouped inside DuckDB: there may be millions of photos, but far fewer products.
            found = connection.execute(
                """
                SELECT product, tags, paths, count(*) FROM read_parquet(?, file_row_number = true)
                GROUP BY ALL ORDER BY min(file_row_number)
                """,
                [str(path)],
            ).fetchall()
    except duckdb.Error as error:
        raise DatasetError(f"{path}: {str(error).splitlines()[0]}") from None
    if not found:
        raise DatasetError(f"{path}: no usable row")
    return [
        Filing(product, tuple(tags), tuple(map(tuple, paths)), rows)
        for product, tags, paths, rows in found
    ]
