"""A photo that kills whoever looks at it, or eats its memory, fails alone."""

import shutil
import threading
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, write_events
from dev.origin import Origin
from tests.faults.aftermath import Aftermath
from tests.marketplace import rows
from tests.settled import assert_quiet
from tests.waiting import wait_until


class _Assassin(SimpleHTTPRequestHandler):
    """Serves photos; kills the process that asks for the poisoned one."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "poison" in self.path:
            port = self.client_address[1]
            for process in psutil.process_iter():
                with suppress(psutil.NoSuchProcess):
                    if "worker.process" in " ".join(process.cmdline()) and any(
                        connection.laddr.port == port
                        for connection in process.net_connections("tcp4")
                    ):
                        process.kill()
            return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        pass


@pytest.fixture
def deadly_origin(photo_folder: Path) -> Generator[str]:
    """The URL of an origin where one photo is poison."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Assassin, directory=str(photo_folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


#: What may be logged above `info` when a photo ends processes.
_DEATHS = (
    "relay.swept",
    "relay.given_up",
    "worker.died",
    "worker.took_back",
    "memory.too_much",
    "batch.fenced_off",
)


@pytest.mark.row("F3")
def test_only_the_poisoned_photo_fails(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    deadly_origin: str,
    tmp_path: Path,
) -> None:
    fleet.environment |= {
        "TAGGER_BATCH_PHOTOS": "8",
        # What waits for a worker that is gone is rung for again after both together.
        "TAGGER_QUEUED_LEASE_S": "5",
        "TAGGER_SLOW_FETCH_DEADLINE_S": "3",
        "TAGGER_ALLOWED_PORTS": deadly_origin.rpartition(":")[2],
    }
    poisoned = [*photos * 4, PhotoFile(Path("poison.jpg"), "poison"), *photos * 4]
    write_events(poisoned, deadly_origin, tmp_path / "events.jsonl")
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    fleet.run("produce", str(tmp_path / "events.jsonl"))
    suspect = "SELECT alone FROM photo JOIN listing ON listing.id = listing_id "
    suspect += "WHERE title = 'poison' AND crashes = 2"
    wait_until(lambda: rows(engine, suspect) != [])
    assert rows(engine, suspect) == [(True,)], "before its last chance it is on its own"
    aftermath.check(len(poisoned), timeout_s=90)
    assert rows(
        engine,
        "SELECT title, error_code, crashes FROM photo "
        "JOIN listing ON listing.id = listing_id WHERE status = 'failed'",
    ) == [("poison", "crashed", 3)]
    assert fleet.exit_code("worker") is None, "the supervisor lives"
    assert_quiet(fleet, "relay", "worker", allowed=_DEATHS)


@pytest.mark.row("F4")
def test_a_photo_that_eats_memory_fails_alone(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    photo_folder: Path,
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(photo_folder, tmp_path / "photos")
    # 36 megapixels with alpha out of a small file; decoding it takes more than 250 MB.
    picture = np.kron(np.arange(36, dtype=np.uint8).reshape(6, 6), np.ones((1000, 1000), np.uint8))
    assert cv2.imwrite(
        str(folder / "giant.png"), cv2.merge([picture, picture.T, picture, ~picture])
    )
    with Origin(folder) as origin:
        fleet.environment |= {
            "TAGGER_BATCH_PHOTOS": "8",
            "TAGGER_QUEUED_LEASE_S": "5",
            "TAGGER_SLOW_FETCH_DEADLINE_S": "3",
            # Between that and the 200 MB that a process takes for the other photos.
            "TAGGER_MAX_PROCESS_BYTES": str(300 << 20),
            "TAGGER_ALLOWED_PORTS": origin.url.rpartition(":")[2],
        }
        poisoned = [*photos * 4, PhotoFile(Path("giant.png"), "giant"), *photos * 4]
        write_events(poisoned, origin.url, tmp_path / "events.jsonl")
        fleet.start("relay", "relay")
        fleet.start("worker", "worker", "--processes", "1")
        fleet.run("produce", "events.jsonl")
        aftermath.check(len(poisoned), timeout_s=110)
    assert rows(
        engine,
        "SELECT title, error_code, crashes FROM photo "
        "JOIN listing ON listing.id = listing_id WHERE status = 'failed'",
    ) == [("giant", "crashed", 3)]
    assert fleet.log("worker").count('"memory.too_much"') == 3
    assert fleet.exit_code("worker") is None, "the supervisor lives"
    assert_quiet(fleet, "relay", "worker", allowed=_DEATHS)
