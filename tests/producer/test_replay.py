"""Rejected events, offered again once a limit was raised."""

import json
import threading
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from producer.events_cli import EXIT_REJECTED
from producer.intake import Intake
from producer.lines import Line
from producer.replay import replay
from shared.domain.photo import Lane
from shared.errors import EventError
from shared.settings import Settings
from tests.marketplace import event, record, rows

_MANY = [f"http://origin.test/{n}.jpg" for n in range(5)]


@pytest.fixture
def strict(settings: Settings) -> Settings:
    """Settings under which an event with five photos is rejected."""
    return settings.model_copy(update={"max_photos_per_listing": 2})


def test_what_is_good_by_now_is_recorded_and_leaves_the_table(
    engine: Engine, settings: Settings, strict: Settings
) -> None:
    assert record(engine, strict, event("L1", photos=_MANY), b"{").rejected == 2
    done = replay(engine, settings)
    assert (done.recorded, done.rejected, done.photos) == (1, 1, 5)
    assert rows(engine, "SELECT code FROM rejected_event") == [("not_json",)]
    assert rows(engine, "SELECT external_id FROM listing") == [("L1",)]
    assert replay(engine, settings).recorded == 0


def test_an_event_that_was_overtaken_changes_nothing(
    engine: Engine, settings: Settings, strict: Settings
) -> None:
    record(engine, strict, event("L1", photos=_MANY, title="old"))
    record(engine, strict, event("L1", minute=1, title="new"))
    done = replay(engine, settings)
    assert (done.recorded, done.unchanged) == (0, 1)
    assert rows(engine, "SELECT title FROM listing") == [("new",)]
    assert rows(engine, "SELECT * FROM rejected_event") == []


def test_a_line_that_was_not_kept_whole_stays_and_is_counted(
    engine: Engine, settings: Settings
) -> None:
    large = json.dumps(event("L1", title="x" * 2000, note="y" * 70_000)).encode()
    record(engine, settings, large, b'{"title": "\xff"}')
    done = replay(engine, settings)
    assert (done.incomplete, done.rejected) == (2, 0)
    assert rows(engine, "SELECT count(*) FROM rejected_event") == [(2,)]


def test_only_the_codes_that_were_asked_for_are_offered(
    engine: Engine, settings: Settings, strict: Settings
) -> None:
    record(engine, strict, event("L1", photos=_MANY), b"{")
    assert replay(engine, settings, ["not_json"]).rejected == 1
    assert rows(engine, "SELECT count(*) FROM listing") == [(0,)]


def test_what_came_with_a_back_catalogue_stays_behind_new_photos(
    engine: Engine, settings: Settings, strict: Settings
) -> None:
    lines = [json.dumps(event(name, photos=_MANY)).encode() for name in ("L1", "L2", "L3")]
    held = [Line(raw, "test:1", len(raw)) for raw in lines]
    Intake(engine, strict, Lane.BACKFILL).record(held[:2])
    Intake(engine, strict).record(held[1:])
    Intake(engine, strict, Lane.BACKFILL).record(held[2:])
    assert replay(engine, settings).recorded == 3
    query = (
        "SELECT external_id, lane FROM photo JOIN listing ON listing.id = listing_id GROUP BY 1, 2"
    )
    assert sorted(rows(engine, query)) == [("L1", "backfill"), ("L2", "tagging"), ("L3", "tagging")]


@pytest.mark.parametrize("whole", [event("VICTIM", type="listing.deleted"), event(photos=_MANY)])
def test_a_row_of_csv_is_never_offered_as_an_event_and_keeps_its_reason(
    engine: Engine, settings: Settings, whole: dict[str, Any]
) -> None:
    raw = json.dumps(whole).encode()
    error = EventError("bad_csv", "torn")
    Intake(engine, settings).record([Line(raw, "shop.csv:3", len(raw), error, foreign=True)])
    done = replay(engine, settings)
    assert (done.recorded, done.rejected, done.incomplete) == (0, 0, 1)
    assert rows(engine, "SELECT code, reason FROM rejected_event") == [("bad_csv", "torn")]
    assert rows(engine, "SELECT * FROM listing") == []


def test_two_at_once_record_each_event_once(
    engine: Engine, settings: Settings, strict: Settings
) -> None:
    many = [event(f"L{n}", photos=_MANY) for n in range(600)]
    record(engine, strict, *many)
    done: list[int] = []

    def work() -> None:
        done.append(replay(engine, settings).recorded)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 600
    assert rows(engine, "SELECT count(*) FROM listing") == [(600,)]
    assert rows(engine, "SELECT count(*) FROM rejected_event") == [(0,)]


def test_the_commands_show_them_and_offer_them_again(
    engine: Engine, fleet: Fleet, strict: Settings
) -> None:
    hostile = event("L1", photos=_MANY, title="\x1b[2J\u202eevil")
    record(engine, strict, hostile, b"{")
    shown = fleet.run("events", "rejected")
    assert shown.returncode == 0
    assert b"too_many" in shown.stdout
    assert b"\x1b[2J" not in shown.stdout
    assert "\u202e".encode() not in shown.stdout
    whole = fleet.run("events", "rejected", "--json", "--code", "too_many")
    [found] = map(json.loads, whole.stdout.splitlines())
    assert json.loads(found["line"]) == hostile
    assert "T" in found["last_seen_at"]
    assert datetime.fromisoformat(found["last_seen_at"]).tzinfo is not None
    again = fleet.run("events", "replay")
    assert again.returncode == EXIT_REJECTED, again.stderr
    assert rows(engine, "SELECT count(*) FROM listing") == [(1,)]
    assert fleet.run("events", "replay", "--code", "too_many").returncode == 0


@pytest.mark.parametrize(
    "command",
    [("search", "\udcff"), ("search", "--tag", "\udcff"), ("events", "replay", "--code", "\udcff")],
)
def test_bytes_that_are_no_text_are_refused_in_one_sentence(
    fleet: Fleet, command: tuple[str, ...]
) -> None:
    done = fleet.run(*command)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [b"An argument holds bytes that are not UTF-8."]
