"""Postgres restarts and contention delay work and lose none of it."""

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psycopg2
import psycopg2.extensions
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from dev.fleet import Fleet
from dev.listings import PhotoFile, events, write_events
from dev.origin import Origin
from dev.services import Services
from shared.settings import Settings
from tests.faults.aftermath import Aftermath
from tests.marketplace import claim_all, event, record, register, rows, settle, tagged
from tests.settled import assert_quiet
from tests.waiting import wait_until

_POSTGRES_AWAY = (
    "batch.database_away",
    "batch.fenced_off",
    "database.again",
    "model.database_away",
    "relay.servers_away",
    "relay.swept",
)


@pytest.mark.row("F13")
def test_a_restart_in_the_middle_loses_no_event_and_no_photo(
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
) -> None:
    fleet.environment["TAGGER_WORKING_LEASE_S"] = "10"
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    lines = [f"{json.dumps(one)}\n" for one in events(photos * 40, origin.url)]
    late = 150  # few enough to wait in the pipe
    with subprocess.Popen(
        [sys.executable, "-m", "tagger", "produce", "-"],
        env=fleet.environment,
        stdin=subprocess.PIPE,
        text=True,
    ) as produce:
        assert produce.stdin
        try:
            produce.stdin.writelines(lines[:-late])
            produce.stdin.flush()
            _wait_for_tags(engine)
            working = "SELECT count(*) FROM photo WHERE status = 'working'"
            assert rows(engine, working) != [(0,)], "it is stopped in the middle of batches"
            engine.dispose()
            servers.postgres.stop(immediate=True)
            produce.stdin.writelines(lines[-late:])
            produce.stdin.close()
            time.sleep(1)
            servers.postgres.start()
            aftermath.fault_is_over()
            aftermath.check(len(lines))
            assert produce.wait(timeout=60) == 0
        finally:
            produce.kill()
    assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'failed'") == [(0,)]


def _start_all(fleet: Fleet, photos: list[PhotoFile], origin: Origin, folder: Path) -> int:
    """Starts everything, with more events than are recorded at once; returns how many."""
    many = photos * 40
    write_events(many, origin.url, folder / "events.jsonl")
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    fleet.start("produce", "produce", "events.jsonl")
    return len(many)


def _wait_for_tags(engine: Engine) -> None:
    some = "SELECT EXISTS (SELECT FROM photo WHERE status = 'tagged')"
    wait_until(lambda: rows(engine, some) == [(True,)])


def _wait_for_words(fleet: Fleet, name: str, words: str) -> None:
    wait_until(lambda: words in fleet.log(name), otherwise=lambda: (name, fleet.log(name)))


@pytest.mark.row("F14")
def test_while_postgres_is_frozen_nothing_waits_for_ever(
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    # A statement without an answer is given up after these and five seconds of grace.
    fleet.environment |= {"TAGGER_STATEMENT_TIMEOUT_S": "3", "TAGGER_WORKING_LEASE_S": "90"}
    total = _start_all(fleet, photos, origin, tmp_path)
    _wait_for_tags(engine)
    servers.postgres.suspend()
    try:
        for name in ("relay", "worker"):
            _wait_for_words(fleet, name, "timeout expired")
    finally:
        servers.postgres.resume()
    aftermath.fault_is_over()
    aftermath.check(total)
    assert aftermath.recovery_s < 30
    assert fleet.stop("produce") == {"produce": 0}
    assert rows(engine, "SELECT DISTINCT status, crashes FROM photo") == [("tagged", 0)]
    assert_quiet(fleet, "relay", "worker", allowed=_POSTGRES_AWAY)


@pytest.mark.row("F15")
def test_while_postgres_has_no_connection_to_spare_all_wait_for_one(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    settings: Settings,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    with engine.connect():  # kept by the pool, so that the test itself can look
        pass
    with _all_connections(settings):
        total = _start_all(fleet, photos, origin, tmp_path)
        for name in ("relay", "worker", "produce"):
            _wait_for_words(fleet, name, "too many clients")
        time.sleep(3)
    aftermath.fault_is_over()
    aftermath.check(total)
    assert fleet.stop("produce") == {"produce": 0}
    assert "worker.died" not in fleet.log("worker")
    again = fleet.log("worker").count("too many clients")
    assert again < 20, "it keeps asking without a pause"
    assert_quiet(fleet, "relay", "worker", allowed=_POSTGRES_AWAY)


@contextmanager
def _all_connections(settings: Settings) -> Generator[None]:
    """Takes every connection that Postgres has left."""
    taken: list[psycopg2.extensions.connection] = []
    try:
        with suppress(psycopg2.OperationalError):
            while len(taken) < 1000:
                taken.append(psycopg2.connect(settings.database_url.get_secret_value()))
        yield
    finally:
        for connection in taken:
            connection.close()


def _all_at_once(*jobs: Callable[[], None]) -> list[DBAPIError]:
    """Runs jobs in threads; returns what the database refused."""
    failures: list[DBAPIError] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except DBAPIError as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_updates_of_listings_in_work_neither_deadlock_nor_revive_photos(
    engine: Engine, settings: Settings
) -> None:
    """Producers replace photos while workers settle them, as fast as both can."""
    with engine.begin() as connection:
        model_id = register(connection)
    names = [f"L{n:02}" for n in range(12)]
    for name in reversed(names):  # the order of row ids is not that of names
        record(engine, settings, event(name, minute=-1))
    end = time.monotonic() + 6

    def produce(offset: int) -> None:
        order = names if offset else [*reversed(names)]
        for minute in itertools.count(offset, 2):
            urls = [f"{minute % 3}", f"{minute % 5}", "always"]
            record(engine, settings, *(event(name, minute=minute, photos=urls) for name in order))
            if time.monotonic() > end:
                return

    def work() -> None:
        while time.monotonic() < end:
            claims = claim_all(engine)
            settle(engine, *(tagged(claim, model_id, [0.9, 0.1]) for claim in reversed(claims)))

    failures = _all_at_once(partial(produce, 0), partial(produce, 1), work, work)
    assert [str(error.orig) for error in failures] == []
    [(positions, last)] = rows(engine, "SELECT count(*), max(position) FROM search_feed")
    assert positions == last > 100
