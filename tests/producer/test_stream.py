"""`tagger intake stream` on a real Valkey: nothing lost, nothing stuck, poison put aside."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import json
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis, ResponseError
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError

from dev.fleet import Fleet
from dev.services import Services
from producer.consumer_group import connect
from producer.replay import replay
from producer.stream import MAX_DEATHS, StreamIntake
from shared.db.session import make_engine
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
    try:
        summary: Any = shop.xpending(_STREAM, _GROUP)
    except ResponseError:  # there is no group yet
        return 0
    return summary["pending"]


def _held(shop: Redis) -> dict[str, Any]:
    """The one entry that is pending: who has it, since when, and how often it was read."""
    answer: Any = shop.xpending_range(_STREAM, _GROUP, "-", "+", 10)
    [entry] = answer
    return entry


def _deaths_of(shop: Redis, *ids: str, times: int, idle_ms: int = 1 << 30) -> None:
    """As if so many readers had died with these in hand, the last of them long ago."""
    shop.xclaim(_STREAM, _GROUP, "who dies", 0, [*ids], idle=idle_ms, retrycount=times, justid=True)


def _counts(shop: Redis) -> list[int]:
    answer: Any = shop.xpending_range(_STREAM, _GROUP, "-", "+", 1000)
    return [entry["times_delivered"] for entry in answer]


@pytest.fixture
def hurried(settings: Settings) -> Iterator[Engine]:
    """An engine that soon gives a lock up."""
    engine = make_engine(settings.model_copy(update={"lock_timeout_s": 0.5}), role="intake")
    yield engine
    engine.dispose()


def _intake(engine: Engine, settings: Settings, client: Redis | None = None) -> StreamIntake:
    return StreamIntake(
        engine,
        client or connect(settings),
        settings,
        stream=_STREAM,
        group=_GROUP,
        consumer="another",
    )


@contextmanager
def _running(intake: StreamIntake) -> Generator[threading.Event]:
    """Runs it in this process; ends it by the event at the latest."""
    stop = threading.Event()
    thread = threading.Thread(target=intake.run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join()


@contextmanager
def _locked(engine: Engine) -> Generator[None]:
    """Nobody can write a listing: statements time out, as they do when Postgres is in trouble."""
    with engine.connect() as connection:
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.exec_driver_sql("LOCK listing IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def _logged(fleet: Fleet, name: str, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in fleet.log(name).splitlines()]
    return [line for line in lines if line["event"] == event]


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


def test_an_entry_whose_readers_always_die_is_put_aside_without_being_loaded(
    fleet: Fleet, engine: Engine, shop: Redis
) -> None:
    shop.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
    poison, other = _add(shop, event("L1"), event("L2"))
    shop.xreadgroup(_GROUP, "who dies", {_STREAM: ">"})
    _deaths_of(shop, poison, times=MAX_DEATHS)
    _deaths_of(shop, other, times=MAX_DEATHS - 1)
    shop.config_resetstat()
    fleet.start("stream", "intake", "stream")
    wait_until(lambda: _listings(engine) == {"L2"})
    wait_until(lambda: _pending(shop) == 0)
    place = f"{_STREAM}:{poison}"
    found = rows(engine, "SELECT code, source, line FROM rejected_event")
    assert found == [("undeliverable", place, place)]
    loaded: Any = shop.info("commandstats")
    assert loaded["cmdstat_xrange"]["calls"] == 1


def test_giants_are_read_one_at_a_time(fleet: Fleet, engine: Engine, shop: Redis) -> None:
    for giant in (b"a", b"b", b"c"):
        _add(shop, giant * (33 << 20))
    _add(shop, event("L1"))
    fleet.start("stream", "intake", "stream")
    wait_until(lambda: _listings(engine) == {"L1"})
    told = [line["reasons"] for line in _logged(fleet, "stream", "stream.rejected")]
    assert told == [{"too_large": 1}] * 3


def test_a_stop_gives_back_what_is_in_hand_and_counts_nothing_against_it(
    settings: Settings, engine: Engine, hurried: Engine, shop: Redis
) -> None:
    settings = settings.model_copy(update={"stream_claim_s": 1000.0})
    _add(shop, event("L1"))
    with _locked(engine):
        with _running(_intake(hurried, settings)):
            wait_until(lambda: _pending(shop) == 1)
        assert _counts(shop) == [0]
        assert _held(shop)["time_since_delivered"] >= 1_000_000
    with _running(_intake(hurried, settings)):
        wait_until(lambda: _listings(engine) == {"L1"})


def test_a_stop_comes_between_what_others_left_behind(
    settings: Settings, engine: Engine, hurried: Engine, shop: Redis
) -> None:
    shop.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
    ids = _add(shop, *(event(f"L{n}") for n in range(20)))
    shop.xreadgroup(_GROUP, "who dies", {_STREAM: ">"})
    _deaths_of(shop, *ids, times=1)
    with _locked(engine):
        with _running(_intake(hurried, settings)):
            wait_until(lambda: _counts(shop)[0] == 2)
            assert _counts(shop)[1:] == [1] * 19  # one at a time
        assert _counts(shop) == [1] * 20


def test_a_missing_schema_ends_it_with_the_reason_and_costs_no_entry_anything(
    fleet: Fleet, settings: Settings, engine: Engine, shop: Redis
) -> None:
    settings = settings.model_copy(update={"stream_claim_s": 0.001})
    names = {f"L{n}" for n in range(10)}
    _add(shop, *(event(name) for name in names))
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE listing RENAME seller_tags TO moved")
    done = fleet.run("intake", "stream")
    assert (done.returncode, b"tagger migrate" in done.stderr) == (1, True)
    for _ in range(MAX_DEATHS + 1):
        with pytest.raises(ProgrammingError):
            _intake(engine, settings).run(threading.Event())
    assert set(_counts(shop)) == {0}
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE listing RENAME moved TO seller_tags")
    with _running(_intake(engine, settings)):
        wait_until(lambda: _listings(engine) == names)
        wait_until(lambda: _pending(shop) == 0)
    assert rows(engine, "SELECT count(*) FROM rejected_event") == [(0,)]


def test_a_broken_connection_to_the_stream_counts_nothing_against_an_entry(
    settings: Settings, engine: Engine, hurried: Engine, shop: Redis
) -> None:
    with _running(_intake(hurried, settings)):
        with _locked(engine):
            _add(shop, event("L1"))
            wait_until(lambda: _pending(shop) == 1)
            for _ in range(3):
                shop.client_kill_filter(_type="normal", skipme=True)
                # Held on to again, over a new connection.
                wait_until(lambda: _held(shop)["time_since_delivered"] > 3000)
                wait_until(lambda: _held(shop)["time_since_delivered"] < 2000)
            assert _counts(shop) == [1]
        wait_until(lambda: _listings(engine) == {"L1"})


def test_an_entry_whose_delivery_got_lost_is_read_again_and_nobody_died_of_it(
    settings: Settings, engine: Engine, hurried: Engine, shop: Redis
) -> None:
    settings = settings.model_copy(update={"stream_claim_s": 1.0})
    _add(shop, event("L1"))
    with _running(_intake(hurried, settings)):
        wait_until(lambda: _listings(engine) == {"L1"})
        with _locked(engine):  # so that it does not read the next itself
            _add(shop, event("L2"))
            wait_until(lambda: _pending(shop) == 1)
            [lost] = _add(shop, event("L3"))
            shop.xreadgroup(_GROUP, "another", {_STREAM: ">"})
            shop.xclaim(_STREAM, _GROUP, "another", 0, [lost], retrycount=MAX_DEATHS, justid=True)
        wait_until(lambda: _listings(engine) == {"L1", "L2", "L3"})


def test_only_what_lies_too_long_is_taken_over_however_much_others_hold(
    settings: Settings, engine: Engine, shop: Redis
) -> None:
    settings = settings.model_copy(update={"stream_claim_s": 1000.0})
    shop.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
    _add(shop, *(event(f"L{n}") for n in range(1200)))
    shop.xreadgroup(_GROUP, "who lives", {_STREAM: ">"})
    [dead] = _add(shop, event("LD"))
    shop.xreadgroup(_GROUP, "who dies", {_STREAM: ">"})
    _deaths_of(shop, dead, times=1)
    with _running(_intake(engine, settings)):
        wait_until(lambda: _listings(engine) == {"LD"})
    assert _pending(shop) == 1200


def test_what_was_trimmed_away_unread_is_told(fleet: Fleet, engine: Engine, shop: Redis) -> None:
    fleet.start("stream", "intake", "stream")
    _add(shop, event("L0"))
    wait_until(lambda: _listings(engine) == {"L0"})
    wait_until(lambda: _pending(shop) == 0)
    fleet.stop("stream")
    _add(shop, *(event(f"L{n}") for n in range(1, 50)))
    shop.xtrim(_STREAM, maxlen=10, approximate=False)
    fleet.start("stream", "intake", "stream")
    wait_until(lambda: len(_listings(engine)) == 11)
    assert [line["entries"] for line in _logged(fleet, "stream", "stream.trimmed")] == [39]


def test_what_is_trimmed_away_while_a_dead_reader_has_it_is_told_and_is_no_bad_event(
    fleet: Fleet, engine: Engine, shop: Redis
) -> None:
    shop.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
    ids = _add(shop, *(event(f"L{n}") for n in range(3)))
    shop.xreadgroup(_GROUP, "who dies", {_STREAM: ">"})
    _deaths_of(shop, *ids, times=1)
    shop.xtrim(_STREAM, maxlen=1, approximate=False)
    fleet.start("stream", "intake", "stream")
    wait_until(lambda: _listings(engine) == {"L2"})
    wait_until(lambda: _pending(shop) == 0)
    assert [line["entries"] for line in _logged(fleet, "stream", "stream.trimmed")] == [1, 1]
    assert rows(engine, "SELECT count(*) FROM rejected_event") == [(0,)]


def test_no_replay_makes_an_event_of_an_entry_that_was_none(
    settings: Settings, engine: Engine, shop: Redis
) -> None:
    deletion: dict[Any, Any] = {
        name: value
        for name, value in event("L1", minute=1, type="listing.deleted").items()
        if isinstance(value, str)
    }
    _add(shop, event("L1"))
    shop.xadd(_STREAM, deletion)
    with _running(_intake(engine, settings)):
        wait_until(lambda: rows(engine, "SELECT code FROM rejected_event") == [("missing_field",)])
    [(line,)] = rows(engine, "SELECT line FROM rejected_event")
    assert json.loads(str(line)) == deletion
    done = replay(engine, settings)
    assert (done.recorded, done.rejected, done.incomplete) == (0, 0, 1)
    assert rows(engine, "SELECT code FROM rejected_event") == [("missing_field",)]
    assert rows(engine, "SELECT count(*) FROM listing WHERE deleted_at IS NULL") == [(1,)]


def test_two_on_one_host_have_names_of_their_own_and_leave_none_behind(
    fleet: Fleet, engine: Engine, shop: Redis
) -> None:
    for name in ("one", "other"):
        fleet.start(name, "intake", "stream")
        wait_until(lambda name=name: "stream.listening" in fleet.log(name))
    _add(shop, *(event(f"L{n}") for n in range(200)))
    wait_until(lambda: len(_listings(engine)) == 200)
    wait_until(lambda: _pending(shop) == 0)
    assert len(shop.xinfo_consumers(_STREAM, _GROUP)) == 2
    assert fleet.stop() == {"one": 0, "other": 0}
    assert shop.xinfo_consumers(_STREAM, _GROUP) == []
    assert_quiet(fleet, "one", "other")


def test_a_key_that_is_no_stream_ends_it_with_the_reason(fleet: Fleet, shop: Redis) -> None:
    shop.set(_STREAM, "x")
    done = fleet.run("intake", "stream")
    assert (done.returncode, b"WRONGTYPE" in done.stderr) == (1, True)


def test_a_password_that_is_wrong_ends_it_with_the_reason(servers: Services, fleet: Fleet) -> None:
    user, _, host = servers.valkey.url.rpartition("@")
    fleet.environment["TAGGER_STREAM_URL"] = f"{user}Wq7@{host}"
    done = fleet.run("intake", "stream")
    assert done.returncode == 1
    assert b"refuses" in done.stderr
    assert b"Wq7" not in done.stderr + done.stdout


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


class _Before7(Redis):
    """A client of a server that cannot count, such as one of 6.2."""

    def xgroup_create(self, *arguments: Any, **options: Any) -> Any:
        if "entries_read" in options:
            raise ResponseError("syntax error")
        return super().xgroup_create(*arguments, **options)


@pytest.mark.parametrize("query", ["", "?protocol=2", "?protocol=3"])
@pytest.mark.parametrize("counting", [True, False])
def test_a_server_that_does_not_say_what_was_trimmed_serves_too(
    settings: Settings, engine: Engine, hurried: Engine, shop: Redis, query: str, counting: bool
) -> None:
    settings = settings.model_copy(
        update={
            "stream_claim_s": 0.001,
            "stream_url": SecretStr(settings.redis_url.get_secret_value() + query),
        }
    )
    client = connect(settings)
    if not counting:
        client.__class__ = _Before7
        groups = client.response_callbacks["XINFO GROUPS"]

        def uncounted(answer: Any, **options: Any) -> list[dict[str, Any]]:
            kept = ("name", "consumers", "pending", "last-delivered-id")
            return [{name: one[name] for name in kept} for one in groups(answer, **options)]

        client.set_response_callback("XINFO GROUPS", uncounted)
    _add(shop, event("L1"), event("L2"))
    with _running(_intake(hurried, settings, client)):
        wait_until(lambda: _listings(engine) == {"L1", "L2"})
        with _locked(engine):
            _add(shop, event("L3"))
            wait_until(lambda: _pending(shop) == 1)
            [left] = _add(shop, event("L4"))
            shop.xreadgroup(_GROUP, "who dies", {_STREAM: ">"})
            _deaths_of(shop, left, times=1)
        wait_until(lambda: _listings(engine) == {"L1", "L2", "L3", "L4"})
        wait_until(lambda: _pending(shop) == 0)


def test_a_url_that_is_none_is_one_sentence_without_its_password(fleet: Fleet) -> None:
    fleet.environment["TAGGER_STREAM_URL"] = "http://:Wq7head@shop.test/"
    done = fleet.run("intake", "stream")
    assert done.returncode == 1
    assert b"TAGGER_STREAM_URL" in done.stderr
    assert b"Wq7head" not in done.stderr + done.stdout
