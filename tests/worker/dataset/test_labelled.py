"""Rows that cannot be used are counted and named; the others tell tags and truth."""

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import DatasetError, TooLarge
from tests.worker.dataset.prepared import parquet_row, write_parquet
from tests.worker.training.shapes import row, write_rows
from worker.dataset.labelled import MAX_PHOTO_BYTES, parse_row, read_dataset, truth_of
from worker.dataset.shards import Member


def _without(key: str) -> dict[str, Any]:
    return {name: value for name, value in row("a.jpg").items() if name != key}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('{"photo": "a.jpg", ', "broken_json"),
        ("[" * 10_000, "broken_json"),
        ("", "broken_json"),
        ("[]", "bad_row"),
        (_without("tags"), "bad_row"),
        (_without("set"), "bad_row"),
        (row("a.jpg") | {"tags": "['circles']"}, "bad_row"),
        (row("a.jpg") | {"paths": ["Electronics"]}, "bad_row"),
        (row("a.jpg") | {"product": 7}, "bad_row"),
        (row("a.jpg") | {"source": "elsewhere"}, "bad_row"),
        (row("../a.jpg"), "bad_path"),
        (row("/etc/passwd"), "bad_path"),
        (row("good.jpg"), "duplicate"),
        (row("a.jpg") | {"note": "x" * (1 << 21)}, "line_too_long"),
    ],
)
def test_a_bad_row_is_counted_with_its_line_and_the_others_are_kept(
    tmp_path: Path, line: dict[str, Any] | str, kind: str
) -> None:
    write_rows(tmp_path, [row("good.jpg"), line, row("last.jpg")])
    dataset = read_dataset(tmp_path)
    assert [photo.photo for photo in dataset.photos] == ["good.jpg", "last.jpg"]
    assert dataset.rejected == {kind: 1}
    assert dataset.complaints[0].startswith(f"line 2: {kind}: ")


def test_a_file_cut_short_keeps_what_came_before_the_cut(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    names = [f"{number}-{random.bytes(8).hex()}.jpg" for number in range(500)]
    write_rows(tmp_path, [row(name) for name in names])
    labels = tmp_path / "labels.jsonl.gz"
    labels.write_bytes(labels.read_bytes()[:-200])
    dataset = read_dataset(tmp_path)
    assert 0 < len(dataset.photos) < 500
    assert dataset.rejected["cut_short"] == 1


@pytest.mark.parametrize("rows", [[], ["{"], ["{"] * 100])
def test_a_data_set_without_a_usable_row_is_refused(tmp_path: Path, rows: list[str]) -> None:
    write_rows(tmp_path, rows)
    with pytest.raises(DatasetError, match="no usable row"):
        read_dataset(tmp_path)


def test_a_missing_or_uncompressed_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        read_dataset(tmp_path)
    (tmp_path / "labels.jsonl.gz").write_text(json.dumps(row("a.jpg")))
    with pytest.raises(DatasetError, match="gzip"):
        read_dataset(tmp_path)


def test_labels_that_are_a_pipe_are_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.jsonl.gz")
    with pytest.raises(DatasetError, match="not a plain file"):
        read_dataset(tmp_path)


def test_a_prepared_set_without_its_photos_is_refused_with_what_to_do(tmp_path: Path) -> None:
    write_parquet(tmp_path, [parquet_row("http://x/1.jpg")])
    with pytest.raises(DatasetError, match="not downloaded yet; `tagger dataset download` does it"):
        read_dataset(tmp_path)


def test_a_photo_in_a_shard_that_is_too_large_for_one_is_not_read(tmp_path: Path) -> None:
    write_rows(tmp_path, [row("a.jpg")])
    dataset = read_dataset(tmp_path)
    member = Member(tmp_path / "000000.tar", "a.jpg", offset=0, size=MAX_PHOTO_BYTES + 1)
    with pytest.raises(TooLarge, match="67,108,865 bytes; at most 67,108,864 are read"):
        replace(dataset, members={"a.jpg": member}).body(dataset.photos[0])


def test_damaged_compression_is_counted_or_refused_but_never_a_crash(tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl.gz"
    content = bytearray(gzip.compress(json.dumps(row("a.jpg")).encode() + b"\n"))
    for position in range(10, len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        labels.write_bytes(damaged)
        try:
            assert read_dataset(tmp_path).rejected.total() > 0
        except DatasetError:
            continue


def test_a_row_tells_what_is_wrong_with_it() -> None:
    with pytest.raises(DatasetError, match=r"tags: Field required"):
        parse_row(json.dumps(_without("tags")).encode())


def test_the_hash_depends_on_photos_and_tags_and_not_on_order(tmp_path: Path) -> None:
    rows = [row("a.jpg"), row("b.jpg", shape="square")]
    hashes: list[str] = []
    for number, variant in enumerate([rows, rows[::-1], [rows[0], row("b.jpg", shape="circle")]]):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_rows(folder, variant)
        hashes.append(read_dataset(folder).sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def test_truth_has_a_column_a_tag(tmp_path: Path) -> None:
    write_rows(tmp_path, [row("a.jpg"), row("b.jpg", shape="plain"), row("c.jpg", shape="square")])
    dataset = read_dataset(tmp_path)
    assert dataset.tags == ("circles", "shapes", "squares")
    assert truth_of(dataset.photos, dataset.tags).tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 1]]
