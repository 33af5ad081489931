"""Valkey is a doorbell: its death or its forgetting delays photos and loses none."""

# pyright: reportUnknownMemberType=false

import time
from pathlib import Path

from redis import Redis
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from dev.services import Services
from tests.settled import assert_settled, publish, wait_until_settled

_SHORT = {"TAGGER_QUEUED_LEASE_S": "3", "TAGGER_WORKING_LEASE_S": "10", "TAGGER_BATCH_PHOTOS": "8"}


def test_photos_whose_messages_were_flushed_are_rung_for_again(
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    fleet.environment |= _SHORT
    total = publish(fleet, photos, origin, tmp_path, copies=10)
    fleet.start("relay", "relay")
    with Redis.from_url(servers.valkey.url) as valkey:
        deadline = time.monotonic() + 20
        while not valkey.llen("tagging"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        valkey.flushall()
    fleet.start("worker", "worker", "--processes", "1")
    wait_until_settled(engine, total)
    assert_settled(engine, total)


def test_work_goes_on_after_valkey_was_killed_and_started_again(
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    fleet.environment |= _SHORT
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    wait_for = publish(fleet, photos, origin, tmp_path, copies=10)
    servers.valkey.kill()
    servers.valkey.start()
    wait_until_settled(engine, wait_for)
    assert_settled(engine, wait_for)
    assert fleet.stop() == {"relay": 0, "worker": 0}
