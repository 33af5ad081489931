"""Rows come in batches and in order; a file that is not as it should be is refused."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import os
from pathlib import Path

import duckdb
import pytest

from shared.errors import DatasetError
from tests.worker.dataset.prepared import parquet_row, write_parquet
from worker.dataset.photo_rows import PhotoRows


def _rows(folder: Path) -> PhotoRows:
    return PhotoRows(folder / "photos.parquet")


def test_all_rows_come_in_batches_sorted_by_their_ids(tmp_path: Path) -> None:
    written = [parquet_row(f"http://x/{n}.jpg") for n in range(25)]
    rows = _rows(write_parquet(tmp_path, written))
    batches = list(rows.batches(10))
    assert rows.count() == 25
    assert [len(batch) for batch in batches] == [10, 10, 5]
    read = [row for batch in batches for row in batch]
    assert [row.photo_id for row in read] == sorted(row["photo_id"] for row in written)
    assert read[0].paths == [["Electronics", "Shapes"]]
    assert read[0].url.startswith("http://x/")


def test_missing_values_are_empty_ones(tmp_path: Path) -> None:
    row = parquet_row("http://x/1.jpg") | dict.fromkeys(("url", "product", "tags", "paths"))
    ((read,),) = _rows(write_parquet(tmp_path, [row])).batches(10)
    assert (read.url, read.product, read.tags, read.paths) == ("", "", [], [])


def test_rows_of_earlier_versions_take_any_bytes(tmp_path: Path) -> None:
    path = write_parquet(tmp_path, [parquet_row("http://x/1.jpg")]) / "photos.parquet"
    earlier = tmp_path / "earlier.parquet"
    duckdb.read_parquet(str(path)).project("* EXCLUDE content_sha256").write_parquet(str(earlier))
    ((read,),) = PhotoRows(earlier).batches(10)
    assert read.content_sha256 == ""


@pytest.mark.parametrize(
    "photo_ids", [["b" * 16, "a" * 16], ["a" * 16] * 2, ["../../etc/passwd"], [None]]
)
def test_ids_that_are_malformed_repeated_or_out_of_order_are_refused(
    tmp_path: Path, photo_ids: list[str]
) -> None:
    rows = [parquet_row("http://x/1.jpg", photo_id=photo_id) for photo_id in photo_ids]
    with pytest.raises(DatasetError, match="photo_id"):
        list(_rows(write_parquet(tmp_path, rows, in_order=False)).batches(10))


@pytest.mark.parametrize("content", [None, b"", b"PAR1 but no more", b"x" * 5000])
def test_a_missing_or_damaged_file_is_one_clear_error(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "photos.parquet").write_bytes(content)
    with pytest.raises(DatasetError, match=r"photos\.parquet") as caught:
        _rows(tmp_path)
    assert "\n" not in str(caught.value)


def test_other_columns_are_named(tmp_path: Path) -> None:
    duckdb.execute(f"COPY (SELECT 1 AS photo_id) TO '{tmp_path / 'photos.parquet'}'")
    with pytest.raises(DatasetError, match="column photo_id should be VARCHAR"):
        _rows(tmp_path)


def test_a_folder_whose_name_is_not_utf8_is_one_clear_error(tmp_path: Path) -> None:
    folder = write_parquet(tmp_path / "plain", [parquet_row("http://x/1.jpg")])
    with pytest.raises(DatasetError, match="is not UTF-8"):
        _rows(folder.rename(tmp_path / os.fsdecode(b"\xff")))
