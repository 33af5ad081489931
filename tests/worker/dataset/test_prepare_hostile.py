"""Hostile and damaged input is counted, or one clear error; never a crash or a traceback."""

import gzip
import json
from pathlib import Path

import pytest

from shared.errors import DatasetError
from tests.worker.dataset.catalogues import Run, photo_url, product, write_lines
from worker.dataset.lines import MAX_LINE_BYTES


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("[" * 200_000, "broken_line"),
        ("[" * 200_000 + "]" * 200_000, "not_an_object"),
        ('{"asin": "B", "category": ' + "[" * 9_000 + "]" * 9_000 + "}", "unreadable_category"),
        ('{"asin": "B", "category": ["' + "a" * 100_000 + '"]}', "unreadable_category"),
        ('{"asin": "B", "category": ["' + "a" * 201 + '"]}', "segment_too_long"),
        ('{"asin": "B", "category": NaN, "price": Infinity}', "unreadable_category"),
        ('{"asin": "B", "category": "[\'Toys\', ("}', "unreadable_category"),
        ('{"asin": "B", "category": 1' + "0" * 5_000 + "}", "unreadable_category"),
        ('{"asin": "B\\u0000"}', "bad_product"),
        ('{"asin": "' + "B" * 201 + '"}', "bad_product"),
        ('{"asin": 1.5}', "bad_product"),
        ('{"asin": null}', "no_product"),
        ('{"asin": " "}', "no_product"),
        ('{"asin": "B", "imageURL": [{"large": {}}]}', "bad_url"),
        ('{"asin": "B", "imageURL": "[\'"}', "not_text"),
        ('{"asin": "B", "imageURL": {"large": "x"}}', "bad_url"),
        ('{"asin": "B", "imageURL": ["https://m.example/a\\u0000.jpg"]}', "bad_url"),
        ('{"asin": "B", "imageURL": ["https://m.example/\\ud800.jpg"]}', "broken_line"),
        ('{"asin": "B"\x00}', "broken_line"),
        ('{"note": "' + "x" * MAX_LINE_BYTES + '"}', "line_too_long"),
    ],
)
def test_a_hostile_line_is_counted_and_the_others_are_read(
    tmp_path: Path, line: str, kind: str
) -> None:
    run = Run(tmp_path, [product("A"), line, product("C")])
    assert run.dirt[kind] == 1
    assert {"A", "C"} <= {row["product"] for row in run.rows}


def test_a_line_that_is_not_utf8_is_counted(tmp_path: Path) -> None:
    good = json.dumps(product("A")).encode()
    file = tmp_path / "meta.json"
    file.write_bytes(good + b'\n{"asin": "\xff"}\n')
    run = Run(tmp_path, file)
    assert run.dirt["not_utf8"] == 1
    assert run.urls == [photo_url("A")]


def test_a_compressed_file_cut_short_is_read_to_the_cut(tmp_path: Path) -> None:
    content = "".join(json.dumps(product(f"P{n * 7919}")) + "\n" for n in range(500)).encode()
    file = tmp_path / "meta.json.gz"
    file.write_bytes(gzip.compress(content)[:-200])
    run = Run(tmp_path, file)
    assert 0 < len(run.rows) < 500
    assert run.dirt["cut_short"] == 1
    assert run.dirt["broken_line"] == 1


def test_a_damaged_compressed_file_is_read_to_the_damage_or_refused(tmp_path: Path) -> None:
    compressed = gzip.compress(
        "".join(json.dumps(product(f"P{n}")) + "\n" for n in range(20)).encode()
    )
    for position in range(10, len(compressed), 25):
        folder = tmp_path / str(position)
        folder.mkdir()
        damaged = bytearray(compressed)
        damaged[position] ^= 0xFF
        (folder / "meta.json.gz").write_bytes(damaged)
        try:
            run = Run(folder, folder / "meta.json.gz")
        except DatasetError:
            continue
        assert run.dirt["damaged_compression"] == 1


def test_metadata_without_a_usable_row_is_an_error_and_leaves_no_folder(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "meta.json", ['{"asin": null, "category": []}'])
    with pytest.raises(DatasetError, match="no usable row"):
        Run(tmp_path, file)
    assert [path.name for path in tmp_path.iterdir()] == ["meta.json"]


def test_names_with_quotes_are_harmless(tmp_path: Path) -> None:
    folder = tmp_path / "it's; DROP"
    folder.mkdir()
    file = write_lines(
        folder / "meta'.json", [product("A'; DROP TABLE photo --", urls=[photo_url("a")])]
    )
    assert [row["product"] for row in Run(folder, file).rows] == ["A'; DROP TABLE photo --"]


def test_too_little_memory_is_one_clear_error(tmp_path: Path) -> None:
    rows = [product(f"P{n}", urls=[photo_url(f"{n}-{k}") for k in range(5)]) for n in range(3_000)]
    with pytest.raises(DatasetError, match="2 MB are not enough; raise --memory-mb"):
        Run(tmp_path, rows, memory_mb=2)
    assert [path.name for path in tmp_path.iterdir()] == ["meta_Things.json.gz"]
