"""What `tagger worker` says when it starts."""

import psutil

from dev.fleet import Fleet
from tests.waiting import wait_until


def test_a_worker_that_asks_strangers_for_photos_and_names_nobody_says_so_once(
    fleet: Fleet,
) -> None:
    del fleet.environment["TAGGER_ALLOW_PRIVATE_HOSTS"]
    fleet.start("worker", "worker", "--processes", "1")
    _wait_until_ready(fleet, processes=1)
    log = fleet.log("worker")
    assert log.count("worker.anonymous") == 1
    assert "TAGGER_OPERATOR" in log


def test_a_back_catalogue_has_processes_of_its_own_which_stand_back(fleet: Fleet) -> None:
    fleet.start("worker", "worker", "--processes", "2")
    _wait_until_ready(fleet, processes=5)
    ours = psutil.Process().nice()
    found = {
        process.cmdline()[5]: (process.cmdline()[3], process.nice() - ours)
        for process in psutil.Process(fleet.pid("worker")).children()
    }
    back = min(10, 19 - ours)
    assert found == {
        "tagging-1": ("tagging", 0),
        "tagging-2": ("tagging", 0),
        "backfill-1": ("backfill", back),
        "backfill-2": ("backfill", back),
        "slow-1": ("slow", 0),
    }


def _wait_until_ready(fleet: Fleet, *, processes: int) -> None:
    wait_until(
        lambda: fleet.log("worker").count("worker.ready") >= processes,
        otherwise=lambda: fleet.log("worker"),
    )
