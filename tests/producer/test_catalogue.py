"""Catalogues in CSV and Parquet as event lines, and what becomes of rows that are none."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from producer.catalogue import csv_lines, parquet_lines
from producer.lines import Line
from shared.errors import SetupError
from tests.marketplace import rows

_AS_OF = datetime(2026, 1, 2, tzinfo=UTC)


def _csv(content: str | bytes, as_of: datetime | None = _AS_OF, most: int = 1000) -> list[Line]:
    raw = content if isinstance(content, bytes) else content.encode()
    return [*csv_lines(io.BytesIO(raw), "shop.csv", most, as_of)]


def _fields(line: Line) -> dict[str, Any]:
    assert line.error is None, line.error
    return json.loads(line.raw)


def test_a_row_is_a_listing_as_it_stands() -> None:
    [line] = _csv(
        "listing_id,title,seller_tags,photos,price\r\n"
        'L1,"A ""good"" camera, old",camera|vintage,http://a.test/1.jpg|http://a.test/2.jpg,9\r\n'
    )
    assert _fields(line) == {
        "listing_id": "L1",
        "title": 'A "good" camera, old',
        "seller_tags": ["camera", "vintage"],
        "photos": ["http://a.test/1.jpg", "http://a.test/2.jpg"],
        "occurred_at": "2026-01-02T00:00:00+00:00",
        "event_id": "catalogue L1",
        "type": "listing.created",
    }
    assert line.source == "shop.csv:2"


def test_a_cell_may_hold_a_json_array_for_what_holds_the_separator() -> None:
    [line] = _csv('listing_id,photos,seller_tags\nL1,"[""http://a.test/?a|b""]",[odd\n')
    assert _fields(line)["photos"] == ["http://a.test/?a|b"]
    assert _fields(line)["seller_tags"] == ["[odd"]


def test_a_rows_own_time_comes_before_that_of_the_whole_file() -> None:
    [line] = _csv("\ufefflisting_id,photos,occurred_at\nL1,,2025-05-05T00:00:00Z\n")
    assert _fields(line)["occurred_at"] == "2025-05-05T00:00:00Z"
    assert _fields(line)["photos"] == []


def test_rows_that_are_none_are_rejected_alone() -> None:
    good, torn, wide, last = _csv(
        b'listing_id,photos\nL1,\nL2,"a"b\nL3,a,b\nL4,\xff\n',
    )
    assert good.error is None
    assert [line.error and line.error.kind for line in (torn, wide)] == ["bad_csv", "bad_csv"]
    assert json.loads(last.raw)["photos"] == ["\udcff"], "which no event's text may hold"


def test_a_quote_that_never_ends_costs_no_more_than_a_cell_may_hold() -> None:
    lines = _csv("listing_id,photos\n" + 'L1,"' + "x\n" * 2000 + "L2,\n", most=1000)
    assert lines[0].error is not None
    assert _fields(lines[-1])["listing_id"] == "L2"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("listing_id,title", "photos"),
        ("", "listing_id and photos"),
        ("listing_id,photos,photos", "two columns"),
        ('"listing_id"s,photos', "header is no CSV"),
    ],
)
def test_a_header_that_is_broken_or_lacks_what_is_needed_ends_it_with_one_sentence(
    header: str, words: str
) -> None:
    with pytest.raises(SetupError, match=words):
        _csv(f"{header}\nL1,\n")


def test_without_any_time_nothing_is_taken_for_newer_than_what_happened_since() -> None:
    with pytest.raises(SetupError, match="--as-of"):
        _csv("listing_id,photos\nL1,\n", as_of=None)


def _parquet(path: Path, query: str) -> list[Line]:
    with duckdb.connect() as connection:
        connection.sql(query).write_parquet(str(path))
    return [*parquet_lines(str(path), "shop.parquet", None)]


def test_parquets_own_types_are_read_as_they_are_meant(tmp_path: Path) -> None:
    first, second = _parquet(
        tmp_path / "a.parquet",
        """SELECT 17 AS listing_id, ['http://a.test/1', 'http://a.test/2'] AS photos,
            NULL::text[] AS seller_tags, TIMESTAMP '2025-01-01 10:00:00' AS occurred_at, 1 AS x
        UNION ALL SELECT 18, [], ['a'], TIMESTAMP '2025-01-02 10:00:00', 2""",
    )
    assert _fields(first) == {
        "listing_id": "17",
        "photos": ["http://a.test/1", "http://a.test/2"],
        "occurred_at": "2025-01-01T10:00:00+00:00",
        "event_id": "catalogue 17",
        "type": "listing.created",
    }
    assert _fields(second)["seller_tags"] == ["a"]
    assert second.source == "shop.parquet:2"


def test_what_is_no_parquet_ends_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(SetupError, match="shop"):
        list(parquet_lines(str(tmp_path / "a.parquet"), "shop.parquet", None))


def test_a_catalogue_goes_in_behind_all_new_photos_and_its_bad_rows_are_kept(
    fleet: Fleet, engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "shop.CSV"
    file.write_text("listing_id,photos\nL1,http://a.test/1|http://a.test/2\n,http://a.test/3\n")
    command = ("produce", str(file), "--backfill", "--as-of", "2026-01-02T00:00:00Z")
    done = fleet.run(*command)
    assert done.returncode == 3, done.stderr
    assert rows(engine, "SELECT lane, count(*) FROM photo GROUP BY 1") == [("backfill", 2)]
    assert rows(engine, "SELECT code, source FROM rejected_event") == [
        ("missing_field", f"{file}:3")
    ]
    assert fleet.run(*command).returncode == 3
    assert rows(engine, "SELECT count(*) FROM photo") == [(2,)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--as-of", "yesterday"), b"ISO 8601"),
        (("--as-of", "2026-01-02T00:00:00"), b"time zone"),
        (("--format", "jsonl", "--as-of", "2026-01-02T00:00:00Z"), b"--as-of is for"),
        ((), b"--as-of"),
        (("--format", "parquet"), b"shop.csv"),
        (("--format", "parquet", "-"), b"standard input"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(
    fleet: Fleet, tmp_path: Path, arguments: tuple[str, ...], words: bytes
) -> None:
    file = tmp_path / "shop.csv"
    file.write_text("listing_id,photos\nL1,http://a.test/1\n")
    done = fleet.run("produce", *([] if "-" in arguments else [str(file)]), *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert b"Traceback" not in done.stderr
