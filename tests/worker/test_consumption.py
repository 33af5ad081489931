"""A process that takes nothing although messages wait is ended, and no other."""

# pyright: reportUnknownMemberType=false

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import IO

import pytest
from redis import Redis

from dev.processes import wait_for
from dev.services import Services
from shared.domain.photo import Lane
from shared.queue import Doorbell, make_app
from shared.settings import Settings
from shared.watchdog import EXIT_STUCK
from worker.consumption import Consumption

#: A worker whose consumer has no prefetch slot left, whatever has taken them.
_WEDGED = """
import os, sys
from kombu.transport.virtual import QoS
if "wedged" in sys.argv[1:]:
    QoS.can_consume = lambda self: False
from worker.process import main
sys.exit(main(["tagging", "1", "tagging-1", str(os.getppid()), "1"]))
"""


@pytest.fixture
def doorbell(settings: Settings) -> Generator[Doorbell]:
    """Sends messages, and sees how many wait."""
    doorbell = Doorbell(make_app(settings), settings)
    yield doorbell
    doorbell.hang_up()


class _Process:
    """What a watched process shows."""

    def __init__(self, doorbell: Doorbell) -> None:
        self.taken = 0
        self.busy = False
        self.consumption = Consumption(
            waiting=lambda: doorbell.depth(Lane.TAGGING),
            taken=lambda: self.taken,
            busy=lambda: self.busy,
            stuck_after_s=3,
        )

    def looks_until_stuck(self, most: int = 10) -> int | None:
        return next((n for n in range(1, most + 1) if self.consumption.look()), None)


def test_it_is_stuck_when_messages_wait_and_none_is_taken(doorbell: Doorbell) -> None:
    process = _Process(doorbell)
    doorbell.ring_photos(Lane.TAGGING, [1])
    process.consumption.look()  # the first sees only where things stand
    assert process.looks_until_stuck() == 3


def test_an_empty_queue_asks_for_nothing(doorbell: Doorbell) -> None:
    assert _Process(doorbell).looks_until_stuck() is None


def test_who_works_may_take_as_long_as_it_takes(doorbell: Doorbell) -> None:
    process = _Process(doorbell)
    doorbell.ring_photos(Lane.TAGGING, [1])
    process.busy = True
    assert process.looks_until_stuck(100) is None


def test_one_message_taken_now_and_then_is_enough(doorbell: Doorbell) -> None:
    process = _Process(doorbell)
    doorbell.ring_photos(Lane.TAGGING, [1])
    for _ in range(5):
        assert process.looks_until_stuck(3) is None
        process.taken += 1


def test_a_queue_that_others_empty_starts_the_count_again(
    doorbell: Doorbell, settings: Settings
) -> None:
    process = _Process(doorbell)
    with Redis.from_url(settings.redis_url.get_secret_value()) as valkey:
        for _ in range(5):
            doorbell.ring_photos(Lane.TAGGING, [1])
            assert process.looks_until_stuck(2) is None
            valkey.delete(Lane.TAGGING)
            assert not process.consumption.look()


def test_a_valkey_that_is_silent_is_not_its_fault(settings: Settings, servers: Services) -> None:
    hasty = settings.model_copy(update={"redis_socket_timeout_s": 0.3})
    doorbell = Doorbell(make_app(hasty), hasty)
    process = _Process(doorbell)
    doorbell.ring_photos(Lane.TAGGING, [1])
    servers.valkey.suspend()
    try:
        started = time.monotonic()
        assert process.looks_until_stuck(6) is None
        assert time.monotonic() - started < 30, "a look does not hang"
    finally:
        servers.valkey.resume()
    doorbell.hang_up()


def _start(
    settings: Settings, folder: Path, *arguments: str, stderr: int | IO[bytes] = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _WEDGED, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "REDIS_URL": settings.redis_url.get_secret_value(),
            "TAGGER_STUCK_AFTER_S": "4",
            "TAGGER_LOG_FORMAT": "json",
        },
        stderr=stderr,
    )


def test_a_worker_whose_consumer_is_wedged_ends_and_asks_for_another_start(
    settings: Settings, doorbell: Doorbell, tmp_path: Path
) -> None:
    doorbell.ring_photos(Lane.TAGGING, [1])
    worker = _start(settings, tmp_path, "wedged")
    _, log = worker.communicate(timeout=60)
    assert worker.returncode == EXIT_STUCK
    assert b'"worker.stuck"' in log
    assert b"Traceback" not in log


def test_a_worker_that_is_well_takes_what_waits_and_stays(
    settings: Settings, doorbell: Doorbell, tmp_path: Path
) -> None:
    worker = _start(settings, tmp_path)
    try:
        doorbell.ring_photos(Lane.TAGGING, [1])
        assert wait_for(lambda: doorbell.depth(Lane.TAGGING) == 0, 30)
        time.sleep(6)
        assert worker.poll() is None
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=30)
    assert worker.returncode == 0


def test_a_worker_that_rejects_what_waits_is_well(
    settings: Settings, doorbell: Doorbell, tmp_path: Path
) -> None:
    with (
        (tmp_path / "log").open("wb") as log,
        Redis.from_url(settings.redis_url.get_secret_value()) as valkey,
    ):
        valkey.lpush(Lane.TAGGING, b"no message")
        worker = _start(settings, tmp_path, stderr=log)
        try:
            assert wait_for(lambda: doorbell.depth(Lane.TAGGING) == 0, 30)
            until = time.monotonic() + 8
            while time.monotonic() < until and worker.poll() is None:
                # Never empty for as long as the worker may take nothing.
                if doorbell.depth(Lane.TAGGING) < 3000:
                    valkey.lpush(Lane.TAGGING, *[b"no message"] * 3000)
                time.sleep(0.02)
            assert worker.poll() is None
            valkey.delete(Lane.TAGGING)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.communicate(timeout=30)
    assert worker.returncode == 0
    said = (tmp_path / "log").read_bytes()
    assert b'"message.rejected"' in said
    assert b'"worker.stuck"' not in said
