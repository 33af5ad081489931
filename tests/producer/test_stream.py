"""`tagger intake stream` on a real Valkey: nothing lost, nothing stuck, poison put aside."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.services import Services
from producer.stream import MAX_DELIVERIES, StreamIntake, connect
from shared.settings import Settings
from tests.marketplace import event, rows
from tests.sender import envelope
from tests.settled import assert_quiet
from tests.waiting import wait_until

_STREAM, _GROUP = "listing-events", "listing-tagger"


@pytest.fixture
def shop(servers: Services, fleet: Fleet) -> Iterator[Redis]:
    """The marketplace's end of the stream."""
    fleet.environment["TAGGER_STREAM_CLAIM_S"] = "1"
    with Redis.from_url(servers.valkey.url) as client:
        yield client


def _add(shop: Redis, *events: dict[str, Any] | bytes) -> list[str]:
    return [
        shop.xadd(
            _STREAM, {"event": item if isinstance(item, bytes) else json.dumps(item)}
        ).decode()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        for item in events
    ]


def _pending(shop: Redis) -> int:
    summary: Any = shop.xpending(_STREAM, _GROUP)
    return summary["pending"]


def _held(shop: Redis) -> dict[str, Any]:
    """The one entry that is pending: who has it, since when, and how often it was read."""
    answer: Any = shop.xpending_range(_STREAM, _GROUP, "-", "+", 10)
    [entry] = answer
    return entry


def _looked_at(engine: Engine) -> object:
    """When an intake last asked Postgres for anything, as for how many photos wait."""
    return rows(
        engine,
        "SELECT query_start FROM pg_stat_activity"
        " WHERE application_name = 'tagger intake' AND datname = current_database()",
    )


def _listings(engine: Engine) -> set[str]:
    return {row[0] for row in rows(engine, "SELECT external_id FROM listing")}


def test_what_was_there_before_and_what_comes_is_recorded_and_acknowledged(
    fleet: Fleet, engine: Engine, shop: Redis
) -> None:
    _add(shop, event("L1"))
    fleet.start("stream", "intake", "stream")
    wait_until(lambda: _listings(engine) == {"L1"})
    _add(shop, envelope("L2"), event("L1", minute=1, title="newer"))
    wait_until(lambda: _listings(engine) == {"L1", "L2"})
    wait_until(lambda: rows(engine, "SELECT count(*) FROM listing WHERE title = 'newer'") == [(1,)])
    wait_until(lambda: _pending(shop) == 0)
    assert fleet.stop("stream") == {"stream": 0}
    assert_quiet(fleet, "stream")


def test_what_is_no_event_is_rejected_with_its_reason_and_the_rest_goes_on(
    fleet: Fleet, engine: Engine, shop: Redis
) -> None:
    bad, _ = _add(shop, b"{", event("L1"))
    odd = shop.xadd(_STREAM, {b"payload\xff": b"\x00"}).decode()  # pyright: ignore[reportAttributeAccessIssue]
    fleet.start("stream", "intake", "stream")
    wait_until(lambda: _listings(engine) == {"L1"})
    wait_until(lambda: _pending(shop) == 0)
    found = rows(engine, "SELECT code, source FROM rejected_event ORDER BY id")
    assert {*found} == {
        ("not_json", f"{_STREAM}:{bad}"),
        ("missing_field", f"{_STREAM}:{odd}"),
    }


def test_what_a_killed_reader_had_in_hand_is_recorded_by_another(
    fleet: Fleet, engine: Engine, shop: Redis
) -> None:
    shop.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
    _add(shop, event("L1"), b"{", event("L2"))
    shop.xreadgroup(_GROUP, "who died", {_STREAM: ">"})
    fleet.start("stream", "intake", "stream")
    wait_until(lambda: _listings(engine) == {"L1", "L2"})
    wait_until(lambda: _pending(shop) == 0)
    assert rows(engine, "SELECT code FROM rejected_event") == [("not_json",)]


def test_a_reader_that_is_killed_again_and_again_loses_nothing(
    fleet: Fleet, engine: Engine, shop: Redis
) -> None:
    fleet.start("stream", "intake", "stream")
    names = [f"L{n}" for n in range(3000)]
    for start in range(0, 3000, 500):
        _add(shop, *(event(name) for name in names[start : start + 500]))
        wait_until(lambda start=start: len(_listings(engine)) > start)
        fleet.kill("stream")
        fleet.start("stream", "intake", "stream")
    wait_until(lambda: _listings(engine) == {*names})
    wait_until(lambda: _pending(shop) == 0)
    assert rows(engine, "SELECT count(*) FROM rejected_event") == [(0,)]


def test_an_entry_whose_readers_always_die_is_put_aside(
    fleet: Fleet, engine: Engine, shop: Redis
) -> None:
    shop.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
    [poison, _] = _add(shop, event("L1"), event("L2"))
    for _ in range(MAX_DELIVERIES):
        shop.xreadgroup(_GROUP, "who dies", {_STREAM: ">"}, count=1)
        shop.xclaim(_STREAM, _GROUP, "who dies", 0, [poison])
    fleet.start("stream", "intake", "stream")
    wait_until(lambda: _listings(engine) == {"L2"})
    wait_until(lambda: _pending(shop) == 0)
    assert rows(engine, "SELECT code FROM rejected_event") == [("undeliverable",)]


def test_while_postgres_is_away_entries_wait_and_are_nobody_elses(
    servers: Services, fleet: Fleet, engine: Engine, shop: Redis
) -> None:
    fleet.environment |= {"TAGGER_STATEMENT_TIMEOUT_S": "2", "TAGGER_CONNECT_TIMEOUT_S": "1"}
    names = ("one", "other")
    for name in names:
        fleet.start(name, "intake", "stream", "--consumer", name)
        wait_until(lambda name=name: "stream.listening" in fleet.log(name))
    engine.dispose()
    servers.postgres.stop(immediate=True)
    try:
        _add(shop, event("L1"))
        wait_until(lambda: _pending(shop) == 1)
        holder = _held(shop)["consumer"]
        # Idle for longer than TAGGER_STREAM_CLAIM_S, it is the other's to take.
        wait_until(lambda: _held(shop)["time_since_delivered"] > 3000)
        wait_until(lambda: _held(shop)["time_since_delivered"] < 2000)
        held = _held(shop)
        assert (held["consumer"], held["times_delivered"]) == (holder, 1)
        for name in names:
            wait_until(lambda name=name: "stream.servers_away" in fleet.log(name))
    finally:
        servers.postgres.start()
    wait_until(lambda: _listings(engine) == {"L1"})
    wait_until(lambda: _pending(shop) == 0)
    again = ("stream.servers_away", "stream.taken_over", "database.again")
    for name in names:
        assert_quiet(fleet, name, allowed=again)


def test_while_too_many_photos_wait_entries_stay_in_the_stream(
    fleet: Fleet, engine: Engine, shop: Redis
) -> None:
    fleet.environment["TAGGER_MAX_PHOTOS_WAITING"] = "1"
    _add(shop, event("L1", photos=["http://a.test/1", "http://a.test/2"]))
    fleet.start("stream", "intake", "stream")
    wait_until(lambda: "stream.queue_full" in fleet.log("stream"))
    _add(shop, event("L2"))
    before = _looked_at(engine)
    wait_until(lambda: _looked_at(engine) != before)
    assert _listings(engine) == {"L1"}
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM photo")
    wait_until(lambda: _listings(engine) == {"L1", "L2"})


def test_a_stream_that_is_deleted_is_joined_again(
    fleet: Fleet, engine: Engine, shop: Redis
) -> None:
    fleet.start("stream", "intake", "stream")
    wait_until(lambda: "stream.listening" in fleet.log("stream"))
    shop.delete(_STREAM)
    _add(shop, event("L1"))
    wait_until(lambda: _listings(engine) == {"L1"})


@pytest.mark.parametrize("query", ["", "?protocol=2", "?protocol=3"])
def test_a_server_that_does_not_say_what_was_trimmed_serves_too(
    settings: Settings, engine: Engine, shop: Redis, query: str
) -> None:
    shop.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
    _add(shop, event("L1"), event("L2"))
    shop.xreadgroup(_GROUP, "who died", {_STREAM: ">"}, count=1)
    settings = settings.model_copy(
        update={
            "stream_claim_s": 0.001,
            "stream_url": SecretStr(settings.redis_url.get_secret_value() + query),
        }
    )
    client = connect(settings)
    whole = client.response_callbacks["XAUTOCLAIM"]

    def as_before_7_0(answer: list[Any], **options: Any) -> list[Any]:
        return whole(answer, **options)[:2]

    client.set_response_callback("XAUTOCLAIM", as_before_7_0)
    intake = StreamIntake(
        engine, client, settings, stream=_STREAM, group=_GROUP, consumer="another"
    )
    stop = threading.Event()
    thread = threading.Thread(target=intake.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: _listings(engine) == {"L1", "L2"})
        wait_until(lambda: _pending(shop) == 0)
    finally:
        stop.set()
        thread.join()


def test_a_url_that_is_none_is_one_sentence_without_its_password(fleet: Fleet) -> None:
    fleet.environment["TAGGER_STREAM_URL"] = "http://:Wq7head@shop.test/"
    done = fleet.run("intake", "stream")
    assert done.returncode == 1
    assert b"TAGGER_STREAM_URL" in done.stderr
    assert b"Wq7head" not in done.stderr + done.stdout
