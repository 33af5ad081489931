"""Rows of Parquet, of whatever types, within bounds."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from producer.catalogue import parquet_lines
from shared.errors import SetupError
from tests.catalogues import fields_of, from_parquet


def test_parquets_own_types_are_read_as_they_are_meant(tmp_path: Path) -> None:
    first, second = from_parquet(
        tmp_path / "a.parquet",
        """SELECT 17 AS listing_id, ['http://a.test/1', 'http://a.test/2'] AS photos,
            NULL::text[] AS seller_tags, TIMESTAMP '2025-01-01 10:00:00' AS occurred_at, 1 AS x
        UNION ALL SELECT 18, [], ['a'], TIMESTAMP '2025-01-02 10:00:00', 2""",
    )
    assert fields_of(first) == {
        "listing_id": "17",
        "photos": ["http://a.test/1", "http://a.test/2"],
        "occurred_at": "2025-01-01T10:00:00+00:00",
        "event_id": "catalogue 17",
        "type": "listing.created",
    }
    assert fields_of(second)["seller_tags"] == ["a"]
    assert second.source == "shop.parquet:2"


def test_what_is_no_parquet_ends_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(SetupError, match="shop"):
        list(parquet_lines(str(tmp_path / "a.parquet"), "shop.parquet", 1000, None))


_MOMENT = "TIMESTAMP '2025-01-01 10:00:00' AS occurred_at"


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("make_timestamptz(1735725600000000)", "2025-01-01T10:00:00+00:00"),
        ("TIMESTAMP_NS '2025-01-01 10:00:00.5'", "2025-01-01T10:00:00.5+00:00"),
        ("DATE '2025-01-01'", "2025-01-01T00:00:00+00:00"),
        ("DATE '20000-01-01'", "20000-01-01T00:00:00+00:00"),
        ("'infinity'::TIMESTAMP", "infinity+00:00"),
        ("'2025-01-01T10:00:00Z'", "2025-01-01T10:00:00Z"),
    ],
)
def test_moments_of_every_kind_are_text(tmp_path: Path, moment: str, said: str) -> None:
    [line] = from_parquet(
        tmp_path / "a.parquet", f"SELECT 'L1' AS listing_id, [] AS photos, {moment} AS occurred_at"
    )
    assert fields_of(line)["occurred_at"] == said


def test_bytes_are_text_in_utf8_or_a_rejected_row(tmp_path: Path) -> None:
    good, bad, yes = from_parquet(
        tmp_path / "a.parquet",
        f"""SELECT 'L1'::BLOB AS listing_id, ['http://a.test/1'::BLOB] AS photos, {_MOMENT}
        UNION ALL SELECT '\\xFF'::BLOB, [], TIMESTAMP '2025-01-01'
        UNION ALL SELECT 'L3'::BLOB, ['\\xFF'::BLOB], TIMESTAMP '2025-01-01'""",
    )
    assert (fields_of(good)["listing_id"], fields_of(good)["photos"]) == ("L1", ["http://a.test/1"])
    assert [line.error and line.error.kind for line in (bad, yes)] == ["not_utf8", "not_utf8"]


@pytest.mark.parametrize(
    "title", ["MAP {DATE '2025-01-01': 1}", "{'a': 1}", "[['a']]", "TIME '10:00:00'"]
)
def test_what_is_no_text_is_a_rejected_row(tmp_path: Path, title: str) -> None:
    bad, good = from_parquet(
        tmp_path / "a.parquet",
        f"""SELECT 'L1' AS listing_id, [] AS photos, {_MOMENT}, {title} AS title
        UNION ALL SELECT 'L2', [], TIMESTAMP '2025-01-01', NULL""",
    )
    assert bad.error is not None
    assert bad.error.kind == "wrong_type"
    assert json.loads(bad.raw)["listing_id"] == "L1"
    assert "title" not in fields_of(good)


def test_numbers_are_ids_and_what_is_true_is_none(tmp_path: Path) -> None:
    for id_, kept in (("17::BIGINT", "17"), ("17::DECIMAL(9, 0)", "17"), ("true", True)):
        [line] = from_parquet(
            tmp_path / "a.parquet", f"SELECT {id_} AS listing_id, [] AS photos, {_MOMENT}"
        )
        assert fields_of(line)["listing_id"] == kept


@pytest.mark.parametrize("name", ["star*", "a[1]", "what?", "b\\c", "type=listing.deleted/x"])
def test_a_name_is_no_pattern(tmp_path: Path, name: str) -> None:
    for path, listing in ((name, "L1"), ("starother", "L2"), ("a1", "L3"), ("whats", "L4")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        [line] = from_parquet(
            tmp_path / "x", f"SELECT '{listing}' AS listing_id, [] AS photos, {_MOMENT}"
        )
        (tmp_path / "x").rename(tmp_path / f"{path}.parquet")
    [line] = parquet_lines(str(tmp_path / f"{name}.parquet"), "shop.parquet", 1000, None)
    assert fields_of(line)["listing_id"] == "L1"
    assert fields_of(line)["type"] == "listing.created"


def test_a_row_that_is_too_large_is_rejected_with_what_it_is_known_by(tmp_path: Path) -> None:
    large, many, good = from_parquet(
        tmp_path / "a.parquet",
        f"""SELECT 'L1' AS listing_id, [] AS photos, {_MOMENT}, repeat('x', 5000) AS title
        UNION ALL SELECT 'L2', list_transform(range(2000), lambda x: ''), TIMESTAMP '2025-01-01', ''
        UNION ALL SELECT 'L3', ['http://a.test/1'], TIMESTAMP '2025-01-01', 'good'""",
        most=1000,
    )
    assert [line.error and line.error.kind for line in (large, many)] == ["too_large"] * 2
    assert json.loads(large.raw)["listing_id"] == "L1"
    assert len(large.raw) < 1000
    assert fields_of(good)["title"] == "good"


_BOMBS = {
    "the same text in all rows": "repeat('x', 2000000) AS title FROM range(300) t(i)",
    "other text in each row": "repeat('x', 4000000) || i AS title FROM range(60) t(i)",
    "lists of the same text": "list_transform(range(2000), lambda x: repeat('y', 10000)) AS"
    " seller_tags FROM range(20) t(i)",
    "endless lists of nothing": "list_transform(range(500000), lambda x: NULL::text) AS"
    " seller_tags FROM range(40) t(i)",
}
#: Reads a file with less memory than usual, and shows the most that it had, in MiB.
_READ = """
import sys
from producer import parquet_rows
from producer.catalogue import parquet_lines
from shared.errors import SetupError

parquet_rows._MEMORY = "64MB"
try:
    kinds = {line.error.kind for line in parquet_lines(sys.argv[1], "shop", 1 << 20, None)}
    assert kinds == {"too_large"}, kinds
except SetupError as error:
    assert "Out of Memory" in str(error), error
with open("/proc/self/status") as status:
    print(*(int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM:")))
"""


@pytest.mark.parametrize("bomb", _BOMBS)
def test_a_file_that_unpacks_to_much_more_ends_within_bounds(tmp_path: Path, bomb: str) -> None:
    file = tmp_path / "a.parquet"
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.sql(
            f"SELECT 'L' || i AS listing_id, [] AS photos, {_MOMENT}, {_BOMBS[bomb]}"
        ).write_parquet(str(file), compression="zstd")
    assert file.stat().st_size < 1 << 20
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(file)],
        capture_output=True,
        timeout=300,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 250
