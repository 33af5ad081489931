"""The relay rings for what is due, and for nothing twice."""

# pyright: reportUnknownMemberType=false, reportGeneralTypeIssues=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import threading
import time
from base64 import b64decode
from collections.abc import Generator
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError

from dev.services import Services
from producer.relay import Relay
from shared.db.session import in_words, make_engine
from shared.domain.message import TAG_PHOTOS
from shared.queue import BrokerError, Doorbell, make_app
from shared.settings import Settings
from tests.marketplace import claim_all, event, record, rows
from tests.waiting import wait_until


@pytest.fixture
def valkey(settings: Settings) -> Generator[Redis]:
    """A client of the test's Valkey."""
    with Redis.from_url(settings.redis_url.get_secret_value()) as client:
        yield client


def _relay(engine: Engine, settings: Settings, **changes: Any) -> Relay:
    changed = settings.model_copy(update=changes)
    idle_s = changes.get("idle_s", 1.0)
    return Relay(engine, Doorbell(make_app(changed), changed), changed, idle_s=idle_s)


def _messages(valkey: Redis, queue: str = "tagging") -> list[list[int]]:
    found: list[list[int]] = []
    for raw in reversed(valkey.lrange(queue, 0, -1)):
        message = json.loads(raw)
        assert message["headers"]["task"] == TAG_PHOTOS
        arguments, named, _ = json.loads(b64decode(message["body"]))
        assert arguments == []
        assert set(named) == {"v", "ids"}
        found.append(named["ids"])
    return found


def test_due_photos_travel_in_batches_of_ids(
    engine: Engine, settings: Settings, valkey: Redis
) -> None:
    record(engine, settings, *(event(f"L{n}") for n in range(10)))
    relay = _relay(engine, settings, batch_photos=4)
    assert relay.ring().photos == 10
    assert [len(ids) for ids in _messages(valkey)] == [4, 4, 2]
    assert relay.ring().photos == 0, "what is rung for is not rung for again"
    assert rows(engine, "SELECT DISTINCT status FROM photo") == [("queued",)]


def test_a_full_queue_leaves_photos_due(engine: Engine, settings: Settings, valkey: Redis) -> None:
    record(engine, settings, *(event(f"L{n}") for n in range(10)))
    rung = _relay(engine, settings, batch_photos=2, queue_depth_messages=3).ring()
    assert rung.full
    assert len(_messages(valkey)) == 3
    assert rows(engine, "SELECT status, count(*) FROM photo GROUP BY 1 ORDER BY 1") == [
        ("pending", 4),
        ("queued", 6),
    ]


def test_photos_that_lost_two_workers_travel_alone(
    engine: Engine, settings: Settings, valkey: Redis
) -> None:
    record(engine, settings, event("L1"), event("L2"))
    relay = _relay(engine, settings)
    for _ in range(2):
        claim_all(engine, lease_s=0)
        relay.sweep()
    record(engine, settings, event("L3"), event("L4"))
    relay.ring()
    assert [len(ids) for ids in _messages(valkey, "slow")] == [1, 1]
    assert [len(ids) for ids in _messages(valkey)] == [2]


def test_each_lane_has_its_queue(engine: Engine, settings: Settings, valkey: Redis) -> None:
    record(engine, settings, event("L1"), event("L2"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE photo SET lane = 'slow' WHERE id = 1")
    _relay(engine, settings).ring()
    assert _messages(valkey, "slow") == [[1]]
    assert _messages(valkey, "tagging") == [[2]]


def test_no_back_catalogue_is_rung_for_while_new_photos_wait_for_a_worker(
    engine: Engine, settings: Settings, valkey: Redis
) -> None:
    record(engine, settings, event("new"), event("old"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE photo SET lane = 'backfill' WHERE id = 2")
    relay = _relay(engine, settings)
    valkey.lpush("tagging", "one that nobody has taken yet")
    rung = relay.ring()
    assert (rung.photos, rung.full) == (1, True), "it looks again soon"
    valkey.delete("tagging")
    assert relay.ring().photos == 1
    assert (_messages(valkey), _messages(valkey, "backfill")) == ([], [[2]])


def test_a_hopeless_photo_fails_and_the_feed_says_so(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event())
    relay = _relay(engine, settings, max_losses=1)
    claim_all(engine, lease_s=0)
    relay.sweep()
    assert rows(engine, "SELECT status, error_code FROM photo") == [("failed", "crashed")]
    [(document,)] = rows(engine, "SELECT document FROM search_feed")
    assert document["photos"] == {"tagged": 0, "failed": 1, "pending": 0}


def test_a_broker_that_is_away_loses_nothing(
    engine: Engine, settings: Settings, servers: Services
) -> None:
    record(engine, settings, event())
    relay = _relay(engine, settings)
    servers.valkey.stop()
    try:
        with pytest.raises(BrokerError):
            relay.ring()
        assert rows(engine, "SELECT status FROM photo") == [("pending",)]
    finally:
        servers.valkey.start()
    assert relay.ring().photos == 1


def test_photos_that_a_full_broker_refuses_stay_due(
    engine: Engine, settings: Settings, valkey: Redis
) -> None:
    record(engine, settings, event("L1"), event("L2"))
    relay = _relay(engine, settings, batch_photos=1)
    valkey.config_set("maxmemory", 1)
    try:
        with pytest.raises(BrokerError):
            relay.ring()
    finally:
        valkey.config_set("maxmemory", 0)
    assert rows(engine, "SELECT DISTINCT status FROM photo") == [("pending",)]
    assert relay.ring().photos == 2


def test_a_relay_without_schema_stops_with_its_reason(
    empty_database: Settings, settings: Settings
) -> None:
    engine = make_engine(empty_database, role="test")
    with pytest.raises(ProgrammingError) as caught:
        _relay(engine, settings).run(threading.Event())
    assert "tagger migrate" in in_words(caught.value)
    engine.dispose()


def test_a_new_photo_wakes_the_relay(engine: Engine, settings: Settings, valkey: Redis) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=_relay(engine, settings, idle_s=30.0).run, args=(stop,))
    thread.start()
    try:
        for n in range(3):
            time.sleep(0.3)  # so that the relay is asleep again
            record(engine, settings, event(f"L{n}"))
            # Far less than it would sleep unwoken.
            wait_until(lambda n=n: valkey.llen("tagging") > n, timeout_s=10)
    finally:
        stop.set()
        record(engine, settings, event("wake"))
        thread.join(10)
