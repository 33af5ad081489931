"""The part of a world that runs in its network: origins, names and the worker."""

import importlib
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

from dev.fleet import Fleet
from dev.listings import photo_files
from dev.services import Urls
from tests import namespace
from tests.faults.cases import PROXY, PUBLIC, ZONE, Case
from tests.origins import Origin, answer, hang

#: Where it listens at every address: HTTP, what stalls instead of TLS, and what is not for photos.
_HTTP, _STALLS, _FOR_OTHERS = 80, 443, (22, 6379, 8080, int(PROXY.rpartition(":")[2]))


def main() -> None:
    """Serves until the other end of the control socket closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    folder, photo_folder = Path(sys.argv[3]), Path(sys.argv[4])
    table = importlib.import_module(sys.argv[5])
    cases: list[Case] = table.cases(photo_folder)
    namespace.own_every_address()
    names = namespace.NameServer(
        table.NAMES, lambda name: [PUBLIC] if name.endswith(f".{ZONE}") else []
    )
    names.start()
    with ExitStack() as stack:
        gates = [socket.create_server(("127.0.0.1", int(port))) for port in sys.argv[2].split(",")]
        socket.send_fds(control, [b"."], [gate.fileno() for gate in gates])
        origins = [stack.enter_context(origin) for origin in _origins()]
        for origin in origins:
            if origin.port == _HTTP:
                _serve(origin, cases, photo_folder)
        urls = Urls(os.environ["DATABASE_URL"], os.environ["REDIS_URL"])
        fleet = stack.enter_context(Fleet(urls, folder))
        worker_pid = fleet.start("worker", "worker", "--processes", "1")
        with control.makefile("rwb") as lines:
            lines.write(json.dumps(worker_pid).encode() + b"\n")
            lines.flush()
            while question := lines.readline():
                reply = fleet.stop() if question == b"stop\n" else _seen(origins, names)
                lines.write(json.dumps(reply).encode() + b"\n")
                lines.flush()


def _origins() -> Generator[Origin]:
    for address in ("0.0.0.0", "::"):  # noqa: S104  # in a network without anybody else
        for port in (_HTTP, *_FOR_OTHERS):
            yield Origin(address=address, port=port)
        yield _Stalling(address=address, port=_STALLS)


class _Stalling(Origin):
    """Accepts connections and never says a word, to whatever is sent."""

    def _answer_one(self, connection: socket.socket) -> bool:
        return hang()(self, connection)


def _serve(origin: Origin, cases: list[Case], photo_folder: Path) -> None:
    for case in cases:
        for path, behaviour in case.serves.items():
            origin.serve(path, behaviour)
    for photo in photo_files(photo_folder):
        origin.serve(f"/{photo.path}", answer(200, (photo_folder / photo.path).read_bytes()))


def _seen(origins: list[Origin], names: namespace.NameServer) -> dict[str, object]:
    dialled: Counter[str] = Counter()
    visits: dict[str, list[tuple[float, float]]] = {}
    for origin in origins:
        for address, count in origin.dialled.items():
            dialled[f"{address} {origin.port}"] += count
        for visit in [*origin.visits]:
            visits.setdefault(visit.path, []).append((visit.at, visit.held_s))
    return {"dialled": dialled, "asked": names.asked, "visits": visits}
