"""The feed tells of every change once, in an order that a cursor can trust."""

import random
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, text

from dev.fleet import Fleet
from shared.db import listings, search_feed
from shared.db.decisions import Decisions
from shared.settings import Settings
from tests.marketplace import claim_all, event, record, register, rows, settle, tagged


def _listings(engine: Engine, settings: Settings, count: int) -> list[int]:
    record(engine, settings, *(event(f"L{n:02}") for n in range(count)))
    return [row[0] for row in rows(engine, "SELECT id FROM listing ORDER BY id")]


def test_a_document_says_all_that_a_search_index_needs(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event(photos=["a", "b"], seller_tags=["zoom"]))
    with engine.begin() as connection:
        model_id = register(connection)
    first, second = claim_all(engine)
    settle(engine, tagged(first, model_id, [0.9, 0.0]))
    settle(engine, tagged(second, model_id, [0.7, 0.4]))
    with engine.connect() as connection:
        entries = search_feed.read(connection, after=0, limit=10)
    assert [(e.position, e.listing_id, e.doc_version) for e in entries] == [
        (1, "L1", 1),
        (2, "L1", 2),
    ]
    assert entries[0].document["photos"] == {"tagged": 1, "failed": 0, "pending": 1}
    assert entries[1].document == {
        "listing_id": "L1",
        "title": "A camera",
        "seller_tags": ["zoom"],
        "occurred_at": "2026-01-01T12:00:00+00:00",
        "tags": [{"tag": "camera", "score": 0.8}],
        "related_tags": [{"tag": "tripod", "score": 0.6}],
        "photos": {"tagged": 2, "failed": 0, "pending": 0},
        "model_version": "m-1",
    }


def test_a_tag_that_the_seller_gave_is_not_recommended(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event(seller_tags=["Tripod"]))
    with engine.begin() as connection:
        model_id = register(connection)
    settle(engine, *(tagged(claim, model_id, [0.9, 0.0]) for claim in claim_all(engine)))
    assert rows(engine, "SELECT document -> 'related_tags' FROM search_feed") == [([],)]


def test_a_reader_never_misses_what_commits_late(engine: Engine, settings: Settings) -> None:
    """Writers take their positions and then dawdle; a reader follows with its cursor."""
    ids = _listings(engine, settings, 12)
    stop = threading.Event()
    seen: list[int] = []

    def write(seed: int) -> None:
        random_ = random.Random(seed)
        for _ in range(8):
            with engine.connect() as connection, connection.begin() as transaction:
                chosen = random_.sample(ids, 2)
                search_feed.append(connection, {id_: {"by": seed} for id_ in chosen})
                time.sleep(random_.random() / 100)
                if random_.random() < 0.25:
                    transaction.rollback()

    def read() -> None:
        cursor = 0
        while True:
            last_look = stop.is_set()
            with engine.connect() as connection:
                entries = search_feed.read(connection, after=cursor, limit=3)
            seen.extend(entry.position for entry in entries)
            cursor = seen[-1] if seen else 0
            if last_look and not entries:
                return

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
    reader.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    stop.set()
    reader.join()
    stored = [row[0] for row in rows(engine, "SELECT position FROM search_feed ORDER BY position")]
    assert len(stored) > 10
    assert stored == list(range(1, len(stored) + 1)), "no gaps, also after rollbacks"
    assert seen == stored
    versions = rows(engine, "SELECT listing_id, doc_version FROM search_feed ORDER BY position")
    for listing_id in {row[0] for row in versions}:
        own = [version for name, version in versions if name == listing_id]
        assert own == list(range(1, len(own) + 1)), "a listing's versions come in order"


def _compact(engine: Engine, keep: timedelta = timedelta(0)) -> int:
    with engine.begin() as connection:
        return search_feed.compact(connection, after=0, keep=keep)[1]


def test_compaction_leaves_the_newest_of_each_listing_to_readers_that_begin_or_lag(
    engine: Engine, settings: Settings
) -> None:
    for minute in range(4):
        record(engine, settings, *(event(f"L{n}", minute=minute, photos=[]) for n in range(5)))
    record(engine, settings, event("L0", minute=9, type="listing.deleted"))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO feed_cursor (name, position) VALUES ('slow', 7)"))
    before = {e.listing_id: e for e in _read(engine)}
    assert _compact(engine, timedelta(days=1)) == 0
    assert _compact(engine) == 16
    assert {e.listing_id: e for e in _read(engine)} == before, "and the tombstone is still there"
    with engine.begin() as connection:
        connection.execute(text("UPDATE feed_cursor SET position = 21"))
    assert _compact(engine) == 1
    assert {e.listing_id for e in _read(engine)} == {"L1", "L2", "L3", "L4"}
    assert _compact(engine) == 0
    with engine.begin() as connection:
        ids = [row[0] for row in rows(engine, "SELECT id FROM listing")]
        assert listings.publish_changed(connection, ids, Decisions()) == 0
    record(engine, settings, event("L0", minute=10, photos=[]))
    assert _read(engine)[-1].position == 22


def _read(engine: Engine) -> Sequence[Any]:
    with engine.connect() as connection:
        return search_feed.read(connection, after=0, limit=100)


def test_the_command_compacts_while_others_write(
    engine: Engine, settings: Settings, fleet: Fleet
) -> None:
    for minute in range(3):
        record(engine, settings, event(minute=minute, photos=[]))
    done = fleet.run("compact-feed", "--keep-days", "0")
    assert (done.returncode, done.stdout) == (0, b"2 entries deleted\n")
    for days in ("1e10", "nan", "-1"):
        wrong = fleet.run("compact-feed", "--keep-days", days)
        assert (wrong.returncode, b"Traceback" in wrong.stderr) == (2, False), wrong.stderr
