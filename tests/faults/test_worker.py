"""Workers that die, hang or are stopped in the middle of their work lose nothing."""

import os
import re
import signal
import time
from collections.abc import Generator
from pathlib import Path
from random import Random

import psutil
import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, write_events
from dev.origin import Origin
from tests import origins
from tests.faults.aftermath import Aftermath
from tests.faults.conftest import seed
from tests.marketplace import rows
from tests.settled import assert_quiet, publish
from tests.waiting import wait_until

#: What may be logged above `info` when a process of a worker is lost.
_LOSS = (
    "relay.swept",
    "worker.died",
    "worker.orphaned",
    "worker.took_back",
    "batch.fenced_off",
    # Messages that a dead worker had not acknowledged come again after a while.
    "batch.no_room",
    # Who was stopped meanwhile takes its own silence for the host's.
    "host.rests",
)


def _settled(engine: Engine) -> int:
    return rows(engine, "SELECT count(*) FROM photo WHERE finished_at IS NOT NULL")[0][0]


def _worker_process(fleet: Fleet, name: str, role: str) -> psutil.Process:
    """The process of a supervisor that serves as this."""

    def found() -> list[psutil.Process]:
        children = psutil.Process(fleet.pid(name)).children()
        return [child for child in children if role in child.cmdline()]

    wait_until(found)
    return found()[0]


def _stop_in_the_middle(engine: Engine, process: psutil.Process) -> set[int]:
    """SIGSTOPs a process while it holds photos and no locks; returns their ids."""
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, "it never held anything"
        process.suspend()
        # What Postgres was told before the stop, it ends first, unless that waits for the stopped.
        wait_until(lambda: rows(engine, _AT_IT) == [(0,)])
        if rows(engine, _BACKENDS + " AND state <> 'idle'") == [(0,)]:
            held = rows(engine, "SELECT id FROM photo WHERE status = 'working'")
            if held:
                return {id_ for (id_,) in held}
        process.resume()
        time.sleep(0.003)


_BACKENDS = """SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'tagger worker' AND datname = current_database()"""
_AT_IT = f"""{_BACKENDS} AND state = 'active'
    AND coalesce(wait_event_type, '') NOT IN ('Lock', 'Client')"""


@pytest.fixture
def late_origin(
    fleet: Fleet, photos: list[PhotoFile], photo_folder: Path
) -> Generator[origins.Origin]:
    """Serves the photos, each after a while: whoever asks for them is mostly waiting."""
    with origins.Origin() as origin:
        for photo in photos:
            body = (photo_folder / photo.path).read_bytes()
            origin.serve(f"/{photo.path}", origins.after(0.3, origins.answer(200, body)))
        fleet.environment["TAGGER_ALLOWED_PORTS"] = str(origin.port)
        yield origin


def _publish(fleet: Fleet, many: list[PhotoFile], origin: origins.Origin) -> int:
    write_events(many, origin.url(""), fleet.folder / "events.jsonl")
    assert fleet.run("produce", "events.jsonl").returncode == 0
    return len(many)


@pytest.mark.row("F1")
@pytest.mark.parametrize(
    ("kills", "copies"),
    [
        (5, 21),
        pytest.param(25, 84, marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
def test_a_worker_group_that_is_killed_again_and_again_loses_nothing(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
    kills: int,
    copies: int,
) -> None:
    random = Random(seed())
    deadline = time.monotonic() + 600
    fleet.environment |= {
        "TAGGER_WORKING_LEASE_S": "8",
        "TAGGER_QUEUED_LEASE_S": "4",
        "TAGGER_BATCH_PHOTOS": "8",
    }
    fleet.start("relay", "relay")
    total = publish(fleet, photos, origin, tmp_path, copies=copies)
    for goal in sorted(random.sample(range(1, total * 3 // 4), kills)):
        at_least = max(goal, _settled(engine) + 1)
        fleet.start("worker", "worker", "--processes", "1")
        while _settled(engine) < at_least:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.1))
        fleet.kill("worker")
    assert _settled(engine) < total, "it was killed in the middle"
    aftermath.fault_is_over()
    fleet.start("worker", "worker", "--processes", "1")
    aftermath.check(total, timeout_s=240)
    assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'failed'") == [(0,)]
    assert rows(engine, "SELECT sum(crashes) >= :kills FROM photo", kills=kills) == [(True,)]
    assert_quiet(fleet, "relay", "worker", allowed=_LOSS)


@pytest.mark.row("F2")
def test_what_a_killed_process_held_is_tried_again_before_its_lease_ends(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    late_origin: origins.Origin,
) -> None:
    fleet.environment |= {"TAGGER_BATCH_PHOTOS": "8", "TAGGER_WORKING_LEASE_S": "600"}
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    total = _publish(fleet, photos * 20, late_origin)
    wait_until(lambda: _settled(engine) > total // 10)
    process = _worker_process(fleet, "worker", "tagging-1")
    held = _stop_in_the_middle(engine, process)
    process.kill()
    aftermath.fault_is_over()
    aftermath.check(total, timeout_s=90)
    assert {
        id_ for (id_,) in rows(engine, "SELECT id FROM photo WHERE (attempt, crashes) = (2, 1)")
    } == held
    assert rows(engine, "SELECT DISTINCT status, attempt - crashes FROM photo") == [("tagged", 1)]
    assert fleet.exit_code("worker") is None, "the supervisor lives"
    assert_quiet(fleet, "relay", "worker", allowed=_LOSS)


def test_workers_whose_supervisor_was_killed_end_by_themselves(
    engine: Engine, fleet: Fleet
) -> None:
    supervisor = fleet.start("worker", "worker", "--processes", "1")
    workers = [_worker_process(fleet, "worker", role) for role in ("tagging-1", "slow-1")]
    os.kill(supervisor, signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    assert rows(engine, "SELECT count(*) FROM photo") == [(0,)]


@pytest.mark.row("F5")
def test_a_worker_that_is_asked_to_stop_finishes_what_it_holds(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    fleet.environment["TAGGER_BATCH_PHOTOS"] = "8"
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    total = publish(fleet, photos, origin, tmp_path, copies=20)
    wait_until(lambda: _settled(engine) > total // 10)
    assert fleet.stop("worker") == {"worker": 0}
    assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'working'") == [(0,)]
    assert _settled(engine) < total, "it was stopped in the middle"
    aftermath.fault_is_over()
    fleet.start("worker", "worker", "--processes", "1")
    aftermath.check(total)
    assert rows(engine, "SELECT max(attempt), max(crashes) FROM photo") == [(1, 0)]
    assert_quiet(fleet, "relay", "worker", allowed=("relay.swept",))


@pytest.mark.row("F5")
def test_a_worker_that_waits_for_hosts_that_hang_stops_in_time_and_gives_their_photos_back(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    photo_folder: Path,
) -> None:
    hung = photos[:10]
    with origins.Origin() as origin:
        for photo in hung:
            origin.serve(f"/{photo.path}", origins.hang())
        fleet.environment |= {
            "TAGGER_ALLOWED_PORTS": str(origin.port),
            "TAGGER_FETCH_DEADLINE_S": "0.5",
            "TAGGER_SLOW_FETCH_DEADLINE_S": "60",
            "TAGGER_WORKING_LEASE_S": "300",
            "TAGGER_STOP_GRACE_S": "2",
        }
        fleet.start("relay", "relay")
        supervisor = fleet.start("worker", "worker", "--processes", "1")
        _publish(fleet, hung, origin)
        # Most of them wait for their host's rest to end; some try it, and would for a minute.
        hangs = """SELECT id, attempt FROM photo WHERE status = 'working' AND lane = 'slow'
            AND lease_until < now() + interval '298 s'"""
        wait_until(lambda: rows(engine, hangs))
        held = dict(rows(engine, hangs))  # pyright: ignore[reportArgumentType]
        # Asked twice, and once more in another way: impatience must not make it worse.
        processes = psutil.Process(supervisor).children()
        for process in (psutil.Process(supervisor), *processes):
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
                process.send_signal(number)
        began = time.monotonic()
        assert fleet.stop("worker") == {"worker": 0}
        assert time.monotonic() - began < 30
        assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'working'") == [(0,)]
        after = rows(
            engine, "SELECT id, attempt, error_code FROM photo WHERE id = ANY(:ids)", ids=[*held]
        )
        assert {*after} == {(id_, attempt - 1, "overdue") for id_, attempt in held.items()}
        for photo in hung:
            body = (photo_folder / photo.path).read_bytes()
            origin.serve(f"/{photo.path}", origins.answer(200, body))
        aftermath.fault_is_over()
        fleet.start("worker", "worker", "--processes", "1")
        aftermath.check(len(hung), timeout_s=120)
    assert rows(engine, "SELECT DISTINCT status, crashes FROM photo") == [("tagged", 0)]
    assert_quiet(fleet, "relay", "worker", allowed=("host.rests",))


@pytest.mark.row("F6")
def test_a_worker_that_comes_back_after_its_lease_writes_nothing(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    late_origin: origins.Origin,
) -> None:
    # Its own watchdog would end it after one and a half leases.
    fleet.environment |= {"TAGGER_BATCH_PHOTOS": "8", "TAGGER_WORKING_LEASE_S": "16"}
    fleet.start("relay", "relay")
    fleet.start("stopped", "worker", "--processes", "1", "--queues", "tagging")
    total = _publish(fleet, photos * 20, late_origin)
    process = _worker_process(fleet, "stopped", "tagging-1")
    wait_until(lambda: _settled(engine) > 0)
    held = _stop_in_the_middle(engine, process)
    fleet.start("worker", "worker", "--processes", "1", "--queues", "tagging,slow")
    wait_until(lambda: _settled(engine) == total)
    then = _written(engine)
    aftermath.fault_is_over()
    process.resume()
    wait_until(lambda: "batch.fenced_off" in fleet.log("stopped"))
    assert fleet.stop("stopped") == {"stopped": 0}
    fenced = re.findall(r'"photos": (\d+), "event": "batch.fenced_off"', fleet.log("stopped"))
    assert sum(map(int, fenced)) == len(held)
    assert _written(engine) == then
    aftermath.check(total)
    assert rows(engine, "SELECT DISTINCT status FROM photo") == [("tagged",)]
    assert_quiet(fleet, "relay", "worker", "stopped", allowed=_LOSS)


def _written(engine: Engine) -> list[list[tuple[object, ...]]]:
    """All that a worker writes: rows with the transactions that wrote them."""
    return [
        rows(engine, f"SELECT xmin::text, ctid::text, {key} FROM {table} ORDER BY {key}")  # noqa: S608
        for table, key in (("photo", "id"), ("photo_tag", "photo_id"), ("search_feed", "position"))
    ]
