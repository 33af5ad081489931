"""Filings come out of labels and out of prepared tables alike."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from shared.errors import DatasetError
from tests.worker.training.shapes import row, write_rows
from worker.judging.filings import PREPARED, Filing, read_filings

PATHS = (("Electronics", "Shapes", "Circles"),)


def test_photos_of_a_product_that_say_the_same_are_one_filing(tmp_path: Path) -> None:
    other: dict[str, Any] = row("c.jpg") | {"tags": []}
    write_rows(tmp_path, [row("a.jpg"), other, row("b.jpg"), "{broken"])
    filings, rejected = read_filings(tmp_path)
    assert filings == [
        Filing("p", ("shapes", "circles"), PATHS, rows=2),
        Filing("p", (), PATHS, rows=1),
    ]
    assert rejected == {"broken_json": 1}


def test_a_prepared_table_is_read_in_its_order(tmp_path: Path) -> None:
    _write_prepared(
        tmp_path,
        """
        ('p2', ['b'], [['B']]), ('p1', []::VARCHAR[], [['A', 'C'], ['D']]), ('p2', ['b'], [['B']])
        """,
    )
    filings, rejected = read_filings(tmp_path)
    assert filings == [
        Filing("p2", ("b",), (("B",),), rows=2),
        Filing("p1", (), (("A", "C"), ("D",)), rows=1),
    ]
    assert not rejected


def test_an_empty_or_damaged_table_is_refused(tmp_path: Path) -> None:
    _write_prepared(tmp_path, "('p', ['b'], [['B']])", where="false")
    with pytest.raises(DatasetError, match="no usable row"):
        read_filings(tmp_path)
    (tmp_path / PREPARED).write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DatasetError, match=PREPARED):
        read_filings(tmp_path)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("('p', 'b', [['B']])", "column tags should be VARCHAR"),
        ("(1, ['b'], [['B']])", "column product should be VARCHAR"),
        ("(NULL::VARCHAR, ['b'], [['B']])", "a row lacks"),
        ("('p', NULL::VARCHAR[], [['B']])", "a row lacks"),
        ("('p', ['b', NULL], [['B']])", "a row lacks"),
        ("('p', ['b'], [['B'], NULL])", "a row lacks"),
        ("('p', ['b'], [['B', NULL]])", "a row lacks"),
    ],
)
def test_a_table_of_other_columns_or_with_gaps_is_refused(
    tmp_path: Path, row: str, complaint: str
) -> None:
    _write_prepared(tmp_path, row)
    with pytest.raises(DatasetError, match=complaint):
        read_filings(tmp_path)


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        read_filings(tmp_path)


def _write_prepared(folder: Path, rows: str, where: str = "true") -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * FROM (VALUES {rows}) t(product, tags, paths) WHERE {where}) "  # noqa: S608
            f"TO '{folder / PREPARED}' (FORMAT parquet)"
        )
