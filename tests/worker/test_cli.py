"""What `tagger worker` says when it starts."""

import time

from dev.fleet import Fleet


def test_a_worker_that_asks_strangers_for_photos_and_names_nobody_says_so_once(
    fleet: Fleet,
) -> None:
    del fleet.environment["TAGGER_ALLOW_PRIVATE_HOSTS"]
    fleet.start("worker", "worker", "--processes", "1")
    deadline = time.monotonic() + 60
    while "worker.ready" not in fleet.log("worker"):
        assert time.monotonic() < deadline, fleet.log("worker")
        time.sleep(0.05)
    log = fleet.log("worker")
    assert log.count("worker.anonymous") == 1
    assert "TAGGER_OPERATOR" in log
