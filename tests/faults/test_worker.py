"""A worker that dies or is stopped in the middle of its work loses nothing."""

import os
import signal
import time
from pathlib import Path

import psutil
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from tests.marketplace import rows
from tests.settled import assert_settled, publish, wait_until_settled

_COPIES = 20


def _wait_for_work(engine: Engine, at_least: int) -> None:
    deadline = time.monotonic() + 30
    while rows(engine, "SELECT count(*) FROM photo WHERE status = 'tagged'")[0][0] < at_least:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _wait_until_gone(engine: Engine) -> None:
    """Waits until Postgres, too, has noticed that the workers are dead."""
    query = """SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'tagger worker' AND datname = current_database()"""
    deadline = time.monotonic() + 20
    while rows(engine, query) != [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _tags_of_urls(engine: Engine) -> list[tuple[object, ...]]:
    """Each photo file with each set of tags that some copy of it got."""
    return rows(
        engine,
        """SELECT DISTINCT url, (SELECT array_agg((tag_id, score) ORDER BY rank) FROM photo_tag
            WHERE photo_id = photo.id) FROM photo""",
    )


def test_a_worker_killed_mid_run_and_started_again_loses_nothing(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, tmp_path: Path
) -> None:
    fleet.environment |= {"TAGGER_WORKING_LEASE_S": "6", "TAGGER_BATCH_PHOTOS": "8"}
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    total = publish(fleet, photos, origin, tmp_path, copies=_COPIES)
    _wait_for_work(engine, total // 10)
    fleet.kill("worker")
    _wait_until_gone(engine)
    held = rows(engine, "SELECT count(*) FROM photo WHERE status = 'working'")[0][0]
    left = rows(engine, "SELECT count(*) FROM photo WHERE status <> 'tagged'")[0][0]
    assert left > 0, "it was killed in the middle"
    fleet.start("worker", "worker", "--processes", "1")
    wait_until_settled(engine, total)
    assert_settled(engine, total)
    assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'failed'") == [(0,)]
    assert rows(engine, "SELECT count(*) FROM photo WHERE crashes > 0") == [(held,)]
    assert len(_tags_of_urls(engine)) == len(photos), "each copy of a photo has the same tags"


def test_workers_whose_supervisor_was_killed_end_by_themselves(
    engine: Engine, fleet: Fleet
) -> None:
    supervisor = fleet.start("worker", "worker", "--processes", "1")
    deadline = time.monotonic() + 20
    while len(workers := psutil.Process(supervisor).children()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(supervisor, signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    assert rows(engine, "SELECT count(*) FROM photo") == [(0,)]


def test_a_worker_that_is_asked_to_stop_finishes_what_it_holds(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, tmp_path: Path
) -> None:
    fleet.environment["TAGGER_BATCH_PHOTOS"] = "8"
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    total = publish(fleet, photos, origin, tmp_path, copies=_COPIES)
    _wait_for_work(engine, total // 10)
    assert fleet.stop("worker") == {"worker": 0}
    assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'working'") == [(0,)]
    assert rows(engine, "SELECT count(*) > 0 FROM photo WHERE status <> 'tagged'") == [(True,)]
    fleet.start("worker", "worker", "--processes", "1")
    wait_until_settled(engine, total)
    assert_settled(engine, total)
    assert rows(engine, "SELECT max(attempt), max(crashes) FROM photo") == [(1, 0)]
