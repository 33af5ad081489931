"""Relays may die at the worst moment, be many, and find their messages multiplied."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportGeneralTypeIssues=false

import os
import random
import signal
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from sqlalchemy import Engine, text

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from dev.processes import wait_for
from dev.services import Services
from shared.settings import Settings
from tests.faults.aftermath import Aftermath
from tests.faults.conftest import seed
from tests.marketplace import rows
from tests.settled import assert_quiet, publish

pytestmark = pytest.mark.timeout(240)

#: Whoever marks a photo as queued waits, inside its transaction, for a lock that a test holds.
_HOLD_MARKING = """
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END $$;
    CREATE TRIGGER hold AFTER UPDATE ON photo FOR EACH ROW WHEN (NEW.status = 'queued')
        EXECUTE FUNCTION hold();
"""
_DROP_HOLD = "DROP TRIGGER hold ON photo; DROP FUNCTION hold()"
_HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture
def valkey(servers: Services) -> Generator[Redis]:
    """A client of the test's Valkey."""
    with Redis.from_url(servers.valkey.url) as client:
        yield client


@pytest.mark.row("F16")
def test_photos_marked_by_a_relay_that_died_before_it_sent_are_rung_for_at_their_leases_end(
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    aftermath: Aftermath,
    valkey: Redis,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    fleet.environment["TAGGER_QUEUED_LEASE_S"] = "5"
    total = publish(fleet, photos, origin, tmp_path, copies=2)
    with engine.begin() as connection:
        connection.execute(text(_HOLD_MARKING))
    with engine.connect() as holder:
        holder.execute(text("SELECT pg_advisory_lock(42)"))
        fleet.start("relay", "relay")
        # It has seen the queue's depth and has marked photos, and it has never sent anything.
        assert wait_for(lambda: rows(engine, _HELD) == [(1,)], 30)
        servers.valkey.suspend()
        holder.execute(text("SELECT pg_advisory_unlock(42)"))
    try:
        assert wait_for(lambda: _statuses(engine) == [("queued", total)], 20)
    finally:
        fleet.kill("relay")
        servers.valkey.resume()
    assert valkey.llen("tagging") == 0
    assert _statuses(engine) == [("queued", total)], "nobody took them back"
    with engine.begin() as connection:
        connection.execute(text(_DROP_HOLD))
    fleet.start("worker", "worker", "--processes", "1")
    fleet.start("relay", "relay")
    aftermath.fault_is_over()
    aftermath.check(total)
    assert '"relay.swept"' in fleet.log("relay")
    assert rows(engine, "SELECT max(attempt), max(crashes) FROM photo") == [(1, 0)]


@pytest.mark.row("F17")
def test_messages_three_times_in_any_order_and_two_relays_have_one_effect(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    valkey: Redis,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    fleet.environment["TAGGER_BATCH_PHOTOS"] = "8"
    total = publish(fleet, photos, origin, tmp_path, copies=20)
    for name in ("relay-1", "relay-2"):
        fleet.start(name, "relay")
    assert wait_for(lambda: valkey.llen("tagging") >= 16, 30)
    fleet.stop("relay-1", "relay-2")
    entries = [*valkey.lrange("tagging", 0, -1)] * 3
    random.Random(seed()).shuffle(entries)
    valkey.delete("tagging")
    valkey.rpush("tagging", *entries)
    for name in ("relay-1", "relay-2"):
        fleet.start(name, "relay")
    fleet.start("worker", "worker", "--processes", "2")
    aftermath.check(total)
    assert wait_for(lambda: valkey.llen("tagging") == 0, 30), "the last copies are taken, too"
    assert rows(engine, "SELECT min(attempt), max(attempt), max(crashes) FROM photo") == [(1, 1, 0)]
    assert (
        rows(engine, "SELECT photo_id FROM photo_tag GROUP BY 1 HAVING count(*) <> max(rank)") == []
    )
    assert rows(
        engine, "SELECT count(*), count(DISTINCT listing_id), max(doc_version) FROM search_feed"
    ) == [(total, total, 1)]


def _statuses(engine: Engine) -> list[tuple[object, ...]]:
    return rows(engine, "SELECT status, count(*) FROM photo GROUP BY 1 ORDER BY 1")


def test_a_relay_process_that_dies_is_started_again(
    fleet: Fleet, valkey: Redis, photos: list[PhotoFile], origin: Origin
) -> None:
    supervisor = psutil.Process(fleet.start("relay", "relay"))
    assert wait_for(lambda: fleet.log("relay").count("relay.listening") == 1, 30)
    [relay] = supervisor.children()
    relay.kill()
    assert wait_for(lambda: fleet.log("relay").count("relay.listening") == 2, 30)
    publish(fleet, photos, origin, fleet.folder, copies=1)
    assert wait_for(lambda: valkey.llen("tagging") > 0, 30)
    assert fleet.stop() == {"relay": 0}
    assert_quiet(fleet, "relay", allowed=("relay.died",))


def test_a_relay_whose_supervisor_was_killed_ends_by_itself(fleet: Fleet) -> None:
    supervisor = fleet.start("relay", "relay")
    assert wait_for(lambda: "relay.listening" in fleet.log("relay"), 30)
    relays = psutil.Process(supervisor).children()
    assert len(relays) == 1
    os.kill(supervisor, signal.SIGKILL)
    _, alive = psutil.wait_procs(relays, timeout=20)
    assert alive == []


def test_a_relay_without_schema_says_what_to_do_and_ends(
    empty_database: Settings, fleet: Fleet
) -> None:
    fleet.environment["DATABASE_URL"] = empty_database.database_url.get_secret_value()
    done = fleet.run("relay")
    assert done.returncode == 1
    assert b"tagger migrate" in done.stderr
    assert b"Traceback" not in done.stderr
