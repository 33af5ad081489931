"""A back catalogue that is being tagged never keeps a new listing waiting."""

import json
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from tests import origins
from tests.marketplace import event, rows
from tests.settled import assert_quiet, assert_settled, wait_until_settled
from tests.waiting import wait_until

#: More than there are threads in a worker process.
_OLD = 20


@pytest.mark.timeout(300)  # many processes, on a machine that may be busy
def test_a_new_photo_is_tagged_while_every_thread_for_back_catalogues_is_busy(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, photo_folder: Path
) -> None:
    body = (photo_folder / photos[0].path).read_bytes()
    with origins.Origin() as slow:
        enough = threading.Event()
        urls = [
            slow.serve(f"/{number}.jpg", origins.once(enough, origins.answer(200, body)))
            for number in range(_OLD)
        ]
        fleet.environment |= {
            "TAGGER_ALLOWED_PORTS": f"{fleet.environment['TAGGER_ALLOWED_PORTS']},{slow.port}",
            "TAGGER_BATCH_PHOTOS": "1",
            "TAGGER_FETCH_DEADLINE_S": "200",
            "TAGGER_QUEUED_LEASE_S": "400",
            "TAGGER_WORKING_LEASE_S": "600",
        }
        fleet.start("relay", "relay")
        fleet.start("worker", "worker", "--processes", "1")
        old = [json.dumps(event(f"old-{n}", photos=[url])) for n, url in enumerate(urls)]
        assert (
            fleet.run("produce", "-", "--backfill", stdin="\n".join(old).encode()).returncode == 0
        )
        working = "SELECT count(*) FROM photo WHERE status = 'working'"
        wait_until(lambda: rows(engine, working) == [(8,)])
        new = event("new", photos=[f"{origin.url}/{photos[1].path}"])
        assert fleet.run("produce", "-", stdin=json.dumps(new).encode()).returncode == 0
        tagged = "SELECT count(*) FROM photo WHERE status = 'tagged' AND lane = 'tagging'"
        wait_until(lambda: rows(engine, tagged) == [(1,)])
        assert rows(engine, working) == [(8,)]
        enough.set()
        wait_until_settled(engine, _OLD + 1)
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_settled(engine, _OLD + 1)
    assert rows(engine, "SELECT DISTINCT status FROM photo") == [("tagged",)]
    assert_quiet(fleet, "relay", "worker")
