"""A Valkey that says nothing any more holds nobody up for long, and wedges no worker."""

# pyright: reportUnknownMemberType=false

import json
import time
from collections.abc import Generator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from sqlalchemy import Engine, text

from dev.fleet import Fleet
from dev.listings import PhotoFile, write_events
from dev.origin import Origin
from dev.processes import HOST, wait_for
from dev.services import Services
from tests import origins
from tests.faults.aftermath import Aftermath
from tests.faults.proxy import Proxy
from tests.marketplace import rows
from tests.settled import assert_quiet, publish, wait_until_settled

pytestmark = pytest.mark.timeout(240)

_MAY_SAY = (
    "relay.servers_away",
    "relay.swept",
    "worker.valkey_away",
    "hosts.board_away",
    "Redis BRPOP got no reply",
)


@pytest.fixture
def unhurried(
    fleet: Fleet, photo_folder: Path, photos: list[PhotoFile]
) -> Generator[origins.Origin]:
    """Serves each photo after a second: batches are in work for at least so long."""
    with origins.Origin() as origin:
        for photo in photos:
            whole = origins.answer(200, (photo_folder / photo.path).read_bytes())
            origin.serve(f"/{quote(str(photo.path))}", origins.after(1, whole))
        fleet.environment["TAGGER_ALLOWED_PORTS"] += f",{origin.port}"
        yield origin


@pytest.mark.row("F9")
@pytest.mark.parametrize(
    ("frozen_s", "threads"),
    [
        (15, 1),
        pytest.param(15, 8, marks=pytest.mark.long),
        pytest.param(60, 1, marks=pytest.mark.long),
        pytest.param(60, 8, marks=pytest.mark.long),
    ],
)
def test_a_batch_that_ends_while_valkey_is_frozen_leaves_its_worker_well(
    frozen_s: float,
    threads: int,
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    unhurried: origins.Origin,
    tmp_path: Path,
) -> None:
    fleet.environment["TAGGER_BATCH_PHOTOS"] = "4"
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1", "--threads", str(threads))
    write_events(photos * 4, unhurried.url("").rstrip("/"), tmp_path / "slow.jsonl")
    assert fleet.run("produce", "slow.jsonl").returncode == 0
    assert wait_for(lambda: _in_work(engine) > 0, 30)
    servers.valkey.suspend()
    try:
        assert wait_for(lambda: _in_work(engine) == 0, 30), "what is in work goes on"
        total = publish(fleet, photos, origin, tmp_path, copies=8)
        time.sleep(frozen_s)
    finally:
        servers.valkey.resume()
    aftermath.fault_is_over()
    aftermath.check(total)
    assert aftermath.recovery_s is not None
    assert aftermath.recovery_s < 60
    # All of them take work again, the slow lane's too.
    fleet.stop("relay")
    told = len(fleet.log("worker"))
    total = publish(fleet, photos, origin, tmp_path, copies=10)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE photo SET lane = 'slow' WHERE status = 'pending' AND id % 2 = 0")
        )
    fleet.start("relay", "relay")
    wait_until_settled(engine, total)
    done = [json.loads(line) for line in fleet.log("worker")[told:].splitlines()]
    assert {line["process"] for line in done if line["event"] == "batch.done"} == {
        "tagging-1",
        "slow-1",
    }
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_quiet(fleet, "relay", "worker", allowed=_MAY_SAY)


@pytest.mark.row("F10")
@pytest.mark.parametrize("whose", ["worker", "relay"])
def test_connections_that_go_silent_are_given_up_in_time(
    whose: str,
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    straight = servers.valkey.url
    port = servers.valkey.port
    assert port is not None
    with Proxy((HOST, port)) as proxy:
        detour = straight.replace(f":{port}/", f":{proxy.port}/")
        assert urlsplit(detour).port == proxy.port
        for name, arguments in (("relay", ["relay"]), ("worker", ["worker", "--processes", "1"])):
            fleet.environment["REDIS_URL"] = detour if name == whose else straight
            fleet.start(name, *arguments)
        some = publish(fleet, photos, origin, tmp_path, copies=5)
        wait_until_settled(engine, some)
        assert proxy.freeze() > 0
        aftermath.fault_is_over()
        total = publish(fleet, photos, origin, tmp_path, copies=10)
        aftermath.check(total, timeout_s=90)
        assert aftermath.recovery_s is not None
        assert aftermath.recovery_s < 60
        assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_quiet(fleet, "relay", "worker", allowed=_MAY_SAY)


def _in_work(engine: Engine) -> int:
    return rows(engine, "SELECT count(*) FROM photo WHERE status = 'working'")[0][0]
