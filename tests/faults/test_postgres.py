"""Postgres restarts and contention delay work and lose none of it."""

import itertools
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from dev.fleet import Fleet
from dev.listings import PhotoFile, write_events
from dev.origin import Origin
from dev.services import Services
from shared.settings import Settings
from tests.faults.aftermath import Aftermath
from tests.marketplace import claim_all, event, record, register, rows, settle, tagged


@pytest.mark.row("F13")
def test_a_restart_in_the_middle_loses_no_event_and_no_photo(
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    many = photos * 40
    write_events(many, origin.url, tmp_path / "events.jsonl")
    fleet.environment["TAGGER_WORKING_LEASE_S"] = "10"
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    fleet.start("produce", "produce", "events.jsonl")
    deadline = time.monotonic() + 30
    while rows(engine, "SELECT count(*) FROM photo WHERE status = 'tagged'")[0][0] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    engine.dispose()
    servers.postgres.stop(immediate=True)
    time.sleep(1)
    servers.postgres.start()
    aftermath.fault_is_over()
    aftermath.check(len(many))
    assert fleet.stop("produce") == {"produce": 0}
    assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'failed'") == [(0,)]


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
