"""Valkey is a doorbell: its death, its forgetting and its refusals delay photos and lose none."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import time
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from dev.processes import wait_for
from dev.services import Services
from shared.domain.photo import Lane
from tests.faults.aftermath import Aftermath
from tests.marketplace import rows
from tests.settled import assert_quiet, publish, wait_until_settled

pytestmark = pytest.mark.timeout(240)

#: Long enough for every pause between tries to have reached its longest.
_OUTAGE_S = 8.0
_RELAY_MAY_SAY = ("relay.servers_away", "relay.swept")
_WORKER_MAY_SAY = (
    "worker.valkey_away",
    "hosts.board_away",
    "Redis BRPOP got no reply",
    "batch.fenced_off",
)


@pytest.fixture
def valkey(servers: Services) -> Generator[Redis]:
    """A client of the test's Valkey, which has all the memory it wants afterwards."""
    with Redis.from_url(servers.valkey.url) as client:
        yield client
        client.config_set("maxmemory", 0)


def _start_all(fleet: Fleet) -> None:
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")


def _assert_all_went_well(fleet: Fleet) -> None:
    """Nobody died, nobody lost a word too many, and all stop when they are asked to."""
    assert fleet.stop("relay", "worker") == {"relay": 0, "worker": 0}
    assert_quiet(fleet, "relay", allowed=_RELAY_MAY_SAY)
    assert_quiet(fleet, "worker", allowed=_WORKER_MAY_SAY)


@pytest.mark.row("F7")
def test_work_goes_on_soon_after_valkey_was_killed_and_started_again(
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    _start_all(fleet)
    some = publish(fleet, photos, origin, tmp_path, copies=10)
    wait_until_settled(engine, some // 2)
    servers.valkey.kill()
    all_of_them = publish(fleet, photos, origin, tmp_path, copies=20)
    time.sleep(_OUTAGE_S)
    servers.valkey.start()
    aftermath.fault_is_over()
    aftermath.check(all_of_them)
    assert aftermath.recovery_s is not None
    assert aftermath.recovery_s < 30
    assert fleet.log("relay").count("relay.servers_away") == 1
    _assert_all_went_well(fleet)


@pytest.mark.row("F8")
def test_photos_whose_messages_were_flushed_are_rung_for_again(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    valkey: Redis,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    fleet.environment |= {"TAGGER_QUEUED_LEASE_S": "3", "TAGGER_BATCH_PHOTOS": "8"}
    total = publish(fleet, photos, origin, tmp_path, copies=20)
    fleet.start("relay", "relay")
    assert wait_for(lambda: valkey.llen("tagging") == 16, 20)
    valkey.flushall()
    fleet.start("worker", "worker", "--processes", "1")
    for settled in (1, total // 4, total // 2):
        wait_until_settled(engine, settled)
        valkey.flushall()
    aftermath.fault_is_over()
    aftermath.check(total)
    assert rows(engine, "SELECT max(crashes), count(error_code) FROM photo") == [(0, 0)]
    _assert_all_went_well(fleet)


@pytest.mark.row("F11")
def test_a_full_valkey_is_asked_rarely_and_the_rows_stay_due(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    valkey: Redis,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    """What is in the queue when Valkey fills up is tagged, even by workers that start then."""
    fleet.environment |= {"TAGGER_BATCH_PHOTOS": "8", "TAGGER_QUEUED_LEASE_S": "60"}
    total = publish(fleet, photos, origin, tmp_path, copies=20)
    fleet.start("relay", "relay")
    assert wait_for(lambda: valkey.llen("tagging") == 16, 20)
    valkey.config_set("maxmemory", 1)
    valkey.config_resetstat()
    fleet.start("worker", "worker", "--processes", "1")
    wait_until_settled(engine, 16 * 8)
    assert wait_for(lambda: "maxmemory" in fleet.log("relay"), 20)
    time.sleep(_OUTAGE_S)
    sends = valkey.info("commandstats")["cmdstat_lpush"]
    assert sends["calls"] == 0
    assert 2 <= sends["rejected_calls"] <= _OUTAGE_S
    assert fleet.log("relay").count("relay.servers_away") == 1
    assert wait_for(
        lambda: (
            rows(engine, "SELECT status, count(*) FROM photo GROUP BY 1 ORDER BY 1")
            == [("pending", total - 16 * 8), ("tagged", 16 * 8)]
        ),
        10,
    )
    valkey.config_set("maxmemory", 0)
    aftermath.fault_is_over()
    aftermath.check(total)
    assert aftermath.recovery_s is not None
    assert aftermath.recovery_s < 30
    assert rows(engine, "SELECT max(attempt) FROM photo") == [(1,)]
    _assert_all_went_well(fleet)


@pytest.mark.row("F12")
def test_all_can_start_without_valkey_and_work_begins_when_it_is_there(
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    servers.valkey.stop()
    try:
        _start_all(fleet)
        total = publish(fleet, photos, origin, tmp_path, copies=10)
        assert rows(engine, "SELECT status, count(*) FROM photo GROUP BY 1") == [("pending", total)]
        assert wait_for(lambda: fleet.log("worker").count("worker.valkey_away") == len(Lane), 30)
        before = [process.pid for process in psutil.Process(fleet.pid("worker")).children()]
        time.sleep(_OUTAGE_S)
        assert [p.pid for p in psutil.Process(fleet.pid("worker")).children()] == before
        assert fleet.exit_code("relay") is None
        for name, event in (("relay", "relay.servers_away"), ("worker", "worker.valkey_away")):
            told = [line for line in fleet.log(name).splitlines() if event in line]
            assert len(told) == {"relay": 1, "worker": len(Lane)}[name], "each process says it once"
            assert all("Connection refused" in line for line in told)
    finally:
        servers.valkey.start()
    aftermath.fault_is_over()
    aftermath.check(total)
    assert aftermath.recovery_s is not None
    assert aftermath.recovery_s < 30
    _assert_all_went_well(fleet)


@pytest.mark.parametrize("away", ["stopped", "frozen"])
def test_all_stop_when_they_are_asked_while_valkey_is_away(
    away: str, servers: Services, fleet: Fleet
) -> None:
    _start_all(fleet)
    assert wait_for(lambda: fleet.log("worker").count("worker.ready") == len(Lane), 30)
    assert wait_for(lambda: "relay.listening" in fleet.log("relay"), 30)
    if away == "stopped":
        servers.valkey.stop()
    else:
        servers.valkey.suspend()
    try:
        assert wait_for(lambda: "relay.servers_away" in fleet.log("relay"), 30)
        assert wait_for(lambda: fleet.log("worker").count("worker.valkey_away") == len(Lane), 40)
        began = time.monotonic()
        _assert_all_went_well(fleet)
        assert time.monotonic() - began < 45
    finally:
        servers.valkey.resume()
        servers.valkey.start()
