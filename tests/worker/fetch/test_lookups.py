"""Names that no server answers for, in a network of our own: they take no name from the others.

Nothing leaves the namespace, where a name server keeps silent about some names.
"""

import json
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests import namespace
from tests.origins import Origin, answer
from tests.worker.fetch.fetching import make_settings
from tests.worker.fetch.test_rebinding import PUBLIC
from worker.fetch import lookups
from worker.fetch.call import Download
from worker.fetch.download import Downloader

_SILENT = 40


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What became of the photos of each kind of host, and the silent names asked for."""
    code = "from tests.worker.fetch.test_lookups import main; main()"
    child = subprocess.run(
        namespace.command(tmp_path_factory.mktemp("names"), code),
        cwd=Path(__file__).resolve().parents[3],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout.splitlines()[-1])  # after the logs


def test_no_more_names_are_looked_up_at_once_than_leave_room_for_others(
    seen: dict[str, list[str]],
) -> None:
    assert 0 < len(seen["asked"]) <= lookups.MOST


def test_hosts_that_have_answered_before_do_not_wait_for_them(seen: dict[str, list[str]]) -> None:
    assert seen["known"] == ["photo"]


def test_hosts_that_have_to_wait_for_them_are_not_too_slow(seen: dict[str, list[str]]) -> None:
    assert seen["new"] == ["overdue"]
    assert set(seen["silent"]) == {"too_slow", "overdue"}


def test_once_the_look_ups_have_ended_others_have_their_turn(seen: dict[str, list[str]]) -> None:
    assert seen["later"] == ["photo"]


def main() -> None:
    """Run it inside the namespace and print what was seen."""
    namespace.own_every_address()
    asked: set[str] = set()
    threading.Thread(target=_serve_names, args=(asked,), daemon=True).start()
    with Origin(address=PUBLIC) as origin:
        origin.serve("/p", answer(200, b"photo"))
        settings = make_settings(origin.port, allow_private_hosts=False)
        downloader = Downloader(settings, resting=True)

        def fetch(*hosts: str) -> list[str]:
            urls = [origin.url("/p", host=f"{host}.test") for host in hosts]
            found = downloader.fetch(urls, deadline_s=0.5)
            return ["photo" if isinstance(one, Download) else one.code for one in found]

        seen = {"first": fetch("known")}
        seen["silent"] = fetch(*(f"silent{n}" for n in range(_SILENT)))
        seen["asked"] = sorted(asked)
        seen["known"] = fetch("known")
        seen["new"] = fetch("new")
        deadline = time.monotonic() + 40
        while (later := fetch("new")) != ["photo"] and time.monotonic() < deadline:
            time.sleep(0.2)
        seen["later"] = later
        print(json.dumps(seen), flush=True)  # noqa: T201
        downloader.close()


def _serve_names(asked: set[str]) -> None:
    """Every name is the public address, but for those of which it says nothing at all."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        while True:
            query, client = server.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            label = query[13 : 13 + query[12]].decode()
            if label.startswith("silent"):
                asked.add(label)
                continue
            is_v4 = query[end - 4 : end - 2] == b"\0\1"
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(is_v4), 0, 0)
            record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(PUBLIC)
            server.sendto(head + query[12:end] + (record if is_v4 else b""), client)
