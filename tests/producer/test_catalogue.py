"""Catalogues as event lines, and what becomes of rows that are none."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from shared.errors import SetupError
from tests.catalogues import fields_of, from_csv
from tests.marketplace import rows


def test_a_row_is_a_listing_as_it_stands() -> None:
    [line] = from_csv(
        "listing_id,title,seller_tags,photos,price\r\n"
        'L1,"A ""good"" camera, old",camera|vintage,http://a.test/1.jpg|http://a.test/2.jpg,9\r\n'
    )
    assert fields_of(line) == {
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
    [line] = from_csv('listing_id,photos,seller_tags\nL1,"[""http://a.test/?a|b""]",[odd\n')
    assert fields_of(line)["photos"] == ["http://a.test/?a|b"]
    assert fields_of(line)["seller_tags"] == ["[odd"]


def test_a_rows_own_time_comes_before_that_of_the_whole_file() -> None:
    [line] = from_csv("\ufefflisting_id,photos,occurred_at\nL1,,2025-05-05T00:00:00Z\n")
    assert fields_of(line)["occurred_at"] == "2025-05-05T00:00:00Z"
    assert fields_of(line)["photos"] == []


def test_json_that_is_nested_too_deeply_is_a_rejected_row() -> None:
    before, deep, after = from_csv(
        f"listing_id,photos\nL1,\nL2,{'[' * 100_000}\nL3,\n", most=1 << 20
    )
    assert deep.error is not None
    assert deep.error.kind == "not_json"
    assert [fields_of(line)["listing_id"] for line in (before, after)] == ["L1", "L3"]


def test_one_row_for_each_photo_is_not_taken_for_listings_with_one_photo() -> None:
    first, *others, again, other = from_csv(
        "listing_id,photos\nL1,http://a.test/1\nL1,http://a.test/2\nL1,http://a.test/3\n"
        "L1,http://a.test/1\nL2,http://a.test/1\n"
    )
    assert [line.error and line.error.kind for line in others] == ["repeated_listing"] * 2
    assert first.error is again.error is other.error is None


def test_a_listing_may_stand_there_several_times_as_it_was_at_several_times() -> None:
    lines = from_csv(
        "listing_id,photos,occurred_at\nL1,,2025-01-01T00:00:00Z\nL1,,2025-01-02T00:00:00Z\n"
    )
    assert [line.error for line in lines] == [None, None]


def test_without_any_time_nothing_is_taken_for_newer_than_what_happened_since() -> None:
    with pytest.raises(SetupError, match="--as-of"):
        from_csv("listing_id,photos\nL1,\n", as_of=None)


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
        (("--as-of", "2999-01-02T00:00:00Z"), b"future"),
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


def test_what_steers_a_terminal_in_a_header_is_shown_as_numbers(
    fleet: Fleet, tmp_path: Path
) -> None:
    file = tmp_path / "shop.csv"
    file.write_text("\x1b[2Jlisting_id,\x00photos\n")
    done = fleet.run("produce", str(file), "--as-of", "2026-01-02T00:00:00Z")
    assert done.returncode == 1
    assert b"\\u001b[2Jlisting_id, \\u0000photos" in done.stderr
    assert b"\x1b" not in done.stderr
