"""Events become rows once, in any order, and nothing is dropped."""

import json
import random
import threading
from typing import Any

import pytest
from sqlalchemy import Engine

from producer.intake import Intake
from producer.lines import Line
from shared.domain.photo import Lane
from shared.errors import EventError
from shared.settings import Settings
from tests.marketplace import claim_all, event, record, register, rows, settle, tagged

_STATE = """
    SELECT external_id, title, seller_tags, deleted_at IS NOT NULL,
        (SELECT array_agg(url ORDER BY position) FROM photo WHERE listing_id = listing.id)
    FROM listing ORDER BY external_id
"""


def test_a_created_listing_has_its_photos_pending(engine: Engine, settings: Settings) -> None:
    counts = record(engine, settings, event(photos=["http://a/1.jpg", "http://a/2.jpg"]))
    assert (counts.recorded, counts.unchanged, counts.rejected, counts.photos) == (1, 0, 0, 2)
    assert rows(engine, "SELECT url, position, status, lane, attempt FROM photo ORDER BY 2") == [
        ("http://a/1.jpg", 0, "pending", "tagging", 0),
        ("http://a/2.jpg", 1, "pending", "tagging", 0),
    ]


def test_the_same_event_twice_changes_nothing(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event())
    before = rows(engine, "SELECT * FROM listing, photo, feed_head")
    counts = record(engine, settings, event(), event())
    assert (counts.recorded, counts.unchanged, counts.photos) == (0, 2, 0)
    assert rows(engine, "SELECT * FROM listing, photo, feed_head") == before


def test_an_older_event_never_overwrites_a_newer_one(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event(minute=5, type="listing.updated", title="new", photos=["p"]))
    counts = record(engine, settings, event(minute=1, title="old", photos=["q"]))
    assert counts.unchanged == 1
    assert rows(engine, _STATE) == [("L1", "new", ["bargain"], False, ["p"])]


def test_an_update_keeps_known_photos_adds_new_ones_and_removes_the_rest(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event(photos=["a", "b", "c"]))
    kept = rows(engine, "SELECT id FROM photo WHERE url = 'c'")
    counts = record(engine, settings, event(minute=1, type="listing.updated", photos=["c", "d"]))
    assert counts.photos == 1
    assert rows(engine, "SELECT url, position FROM photo ORDER BY position") == [("c", 0), ("d", 1)]
    assert rows(engine, "SELECT id FROM photo WHERE url = 'c'") == kept


def test_a_failed_photo_that_is_published_again_gets_another_chance(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event(photos=["a", "b"]))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE photo SET status = 'failed', attempt = 5, crashes = 3, error_code = 'bad_url',"
            " finished_at = now(), resting_since = now() WHERE url = 'a'"
        )
    counts = record(engine, settings, event(minute=1, photos=["a", "b"]))
    assert counts.photos == 1
    query = "SELECT status, attempt, crashes, finished_at, resting_since FROM photo WHERE url = 'a'"
    assert rows(engine, query) == [("pending", 0, 0, None, None)]


def _record_in(lane: Lane, engine: Engine, settings: Settings, *events: dict[str, Any]) -> None:
    raw = [json.dumps(item).encode() for item in events]
    Intake(engine, settings, lane).record([Line(line, "test:1", len(line)) for line in raw])


_OLD = ["waits", "slow", "works", "done"]


def test_a_live_update_lets_photos_of_a_back_catalogue_forward(
    engine: Engine, settings: Settings
) -> None:
    _record_in(Lane.BACKFILL, engine, settings, event(photos=_OLD))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE photo SET lane = CASE url WHEN 'slow' THEN 'slow' ELSE lane END, status ="
            " CASE url WHEN 'works' THEN 'working' WHEN 'done' THEN 'tagged' ELSE status END"
        )
    _record_in(Lane.BACKFILL, engine, settings, event(minute=1, photos=_OLD))
    query = "SELECT url, lane FROM photo ORDER BY position"
    assert rows(engine, query)[0] == ("waits", "backfill")
    record(engine, settings, event(minute=2, photos=["new", *_OLD]))
    assert rows(engine, query) == [
        ("new", "tagging"),
        ("waits", "tagging"),
        ("slow", "slow"),
        ("works", "backfill"),
        ("done", "backfill"),
    ]
    _record_in(Lane.BACKFILL, engine, settings, event(minute=3, photos=["new", "waits"]))
    assert rows(engine, "SELECT DISTINCT lane FROM photo") == [("tagging",)], "none is put back"


@pytest.mark.parametrize("lane", [Lane.TAGGING, Lane.BACKFILL])
@pytest.mark.parametrize("before", [*Lane])
def test_failed_photos_that_are_published_again_wait_where_their_event_says(
    engine: Engine, settings: Settings, lane: Lane, before: Lane
) -> None:
    record(engine, settings, event(photos=["a"]))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE photo SET status = 'failed', lane = %s", (before,))
    _record_in(lane, engine, settings, event(minute=1, photos=["a"]))
    assert rows(engine, "SELECT status, lane FROM photo") == [("pending", lane)]


def test_removing_a_tagged_photo_takes_its_tags_out_of_listing_and_feed(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event(photos=["camera.jpg", "cable.jpg"]))
    with engine.begin() as connection:
        model_id = register(connection)
    first, second = claim_all(engine)
    settle(engine, tagged(first, model_id, [1.0, 0.0]), tagged(second, model_id, [0.0, 1.0]))
    record(engine, settings, event(minute=1, type="listing.updated", photos=["cable.jpg"]))
    [(document,)] = rows(engine, "SELECT document FROM search_feed ORDER BY position DESC LIMIT 1")
    assert [tag["tag"] for tag in document["tags"]] == ["cable"]
    assert rows(engine, "SELECT name FROM listing_tag JOIN tag ON tag.id = tag_id") == [("cable",)]


def test_a_deletion_leaves_a_tombstone_and_older_events_stay_out(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event(photos=["a"]))
    [claim] = claim_all(engine)
    record(engine, settings, event(minute=2, type="listing.deleted"))
    record(engine, settings, event(minute=1, type="listing.updated", photos=["b"]))
    assert rows(engine, "SELECT count(*) FROM photo") == [(0,)]
    assert rows(engine, "SELECT listing_id, document FROM search_feed") == [("L1", None)]
    with engine.begin() as connection:
        model_id = register(connection)
    assert settle(engine, tagged(claim, model_id, [1.0, 0.0])) == set(), "work in flight is dropped"
    assert rows(engine, "SELECT count(*) FROM photo_tag") == [(0,)]


def test_a_listing_can_come_back_after_its_deletion(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event(minute=1, type="listing.deleted"))
    record(engine, settings, event(minute=2, photos=["again"]))
    assert rows(engine, _STATE) == [("L1", "A camera", ["bargain"], False, ["again"])]


def test_the_feed_tells_of_a_return_before_the_first_photo_is_tagged(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event(minute=1, photos=[]))
    record(engine, settings, event(minute=2, type="listing.updated", title="new", photos=["a"]))
    record(engine, settings, event(minute=3, type="listing.deleted"))
    record(engine, settings, event(minute=4, title="back", photos=["b"]))
    documents = [
        row[0] for row in rows(engine, "SELECT document FROM search_feed ORDER BY position")
    ]
    assert [document and document["title"] for document in documents] == [
        "A camera",
        "new",
        None,
        "back",
    ]


def test_bad_lines_are_kept_with_their_reason_and_the_rest_goes_on(
    engine: Engine, settings: Settings
) -> None:
    counts = record(engine, settings, b'{"broken', event(), b"nul \0 and \xff bytes")
    assert (counts.recorded, counts.rejected) == (1, 2)
    assert counts.reasons == {"not_json": 1, "not_utf8": 1}
    query = "SELECT line, line_bytes, code, source, times FROM rejected_event ORDER BY source"
    assert rows(engine, query) == [
        ('{"broken', 8, "not_json", "test:1", 1),
        ("nul \\x00 and \\xff bytes", 17, "not_utf8", "test:3", 1),
    ]
    record(engine, settings, b'{"broken')
    assert rows(engine, query)[0][-1] == 2, "the same line again is the same row"


def test_rows_that_were_no_events_are_apart_by_their_place(
    engine: Engine, settings: Settings
) -> None:
    def row(source: str) -> Line:
        return Line(b'L2,"a"b', source, 7, EventError("bad_csv", "torn"), foreign=True)

    for sources in (("a.csv:3", "b.csv:3"), ("a.csv:3",)):
        Intake(engine, settings).record([row(source) for source in sources])
    assert rows(engine, "SELECT source, line, times FROM rejected_event ORDER BY 1") == [
        ("a.csv:3", 'L2,"a"b', 2),
        ("b.csv:3", 'L2,"a"b', 1),
    ]


@pytest.mark.parametrize("word", ["'; DROP TABLE listing; --", "\u202eevil", "🎥", "%(x)s :id"])
def test_odd_words_are_stored_literally(engine: Engine, settings: Settings, word: str) -> None:
    record(engine, settings, event(title=word, seller_tags=[word], photos=[word]))
    assert rows(engine, _STATE) == [("L1", word, [word], False, [word])]


def test_a_url_of_100_kilobytes_is_recorded(engine: Engine, settings: Settings) -> None:
    counts = record(engine, settings, event(photos=["http://a/" + "x" * 100_000]))
    assert counts.photos == 1


def _history(seed: int) -> list[dict[str, Any]]:
    random_ = random.Random(seed)
    return [
        event(
            f"L{random_.randrange(3)}",
            minute=minute,
            type=random_.choice(["listing.created", "listing.updated", "listing.deleted"]),
            title=f"title {minute}",
            photos=random_.sample(["a", "b", "c", "d"], random_.randrange(4)),
        )
        for minute in range(12)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_any_batches_end_in_the_same_state(
    engine: Engine, settings: Settings, seed: int
) -> None:
    history = _history(seed)
    record(engine, settings, *history)
    expected = rows(engine, _STATE)
    with engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE listing, search_feed CASCADE")
    shuffled = history * 2
    random.Random(seed).shuffle(shuffled)
    for item in shuffled:
        record(engine, settings, item)
    assert rows(engine, _STATE) == expected


def test_producers_that_record_the_same_listings_at_once_do_not_deadlock(
    engine: Engine, settings: Settings
) -> None:
    failures: list[BaseException] = []

    def produce(seed: int) -> None:
        random_ = random.Random(seed)
        try:
            for minute in range(10):
                names = random_.sample(range(20), 20)
                record(
                    engine,
                    settings,
                    *(
                        event(f"L{n}", minute=minute * 4 + seed, photos=["a", f"{seed}"])
                        for n in names
                    ),
                )
        except BaseException as error:  # noqa: BLE001  # shown below, in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=produce, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert rows(engine, "SELECT count(*), max(occurred_at) FROM listing")[0][0] == 20
