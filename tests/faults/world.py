"""A worker in a world of its own: hostile URLs, names and origins, and production's settings.

The worker lives in a network in which every address there is ends at an origin of the test,
which notes whom it dialled. Postgres, Valkey, the relay and the producer stay outside.
"""

import json
import socket
import subprocess
import uuid
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psutil
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.services import Services, Urls
from shared.db.session import make_engine
from tests import conftest as project
from tests import namespace
from tests.faults.aftermath import MARK, processes
from tests.faults.cases import ZONE, Seen
from tests.faults.proxy import Proxy

_ROOT = Path(__file__).resolve().parents[2]


class World:
    """The network and the worker in it, while in its `with` block."""

    def __init__(self, fleet: Fleet, photo_folder: Path, table: str) -> None:
        """Starts nothing yet.

        Args:
            fleet: whose environment and folder the worker gets, and whose servers.
            photo_folder: the good photos, which the origins serve under their names.
            table: the module with the test's `cases` and `NAMES`.
        """
        self._fleet = fleet
        self._photo_folder = photo_folder
        self._table = table

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            servers = [
                _place(self._fleet.environment[name]) for name in ("DATABASE_URL", "REDIS_URL")
            ]
            ours, theirs = stack.enter_context(_socket_pair())
            self._control = ours.makefile("rwb")
            stack.enter_context(self._control)
            self._process = stack.enter_context(
                self._inside(ours, theirs, [port for _, port in servers])
            )
            theirs.close()
            _, listeners, _, _ = socket.recv_fds(ours, 1, len(servers))
            if not listeners:
                raise RuntimeError(self._fleet.log("world"))
            for server, listener in zip(servers, listeners, strict=True):
                stack.enter_context(Proxy(server, listener=socket.socket(fileno=listener)))
            self.worker_pid: int = self._answer()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            # While its servers can still be reached.
            assert self._ask("stop") == {"worker": 0}

    def see(self) -> Seen:
        """What has been seen so far."""
        seen = self._ask("see")
        return Seen(Counter(seen["dialled"]), Counter(seen["asked"]), seen["visits"])

    def peak_bytes(self) -> int:
        """The most memory that any process of the worker has held so far."""
        family = psutil.Process(self.worker_pid).children(recursive=True)
        return max(_peak_bytes(process.pid) for process in family)

    def _ask(self, question: str) -> Any:
        self._control.write(f"{question}\n".encode())
        self._control.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._control.readline()
        if not line:
            raise RuntimeError(self._fleet.log("world"))
        return json.loads(line)

    @contextmanager
    def _inside(
        self, ours: socket.socket, control: socket.socket, ports: Sequence[int]
    ) -> Generator[subprocess.Popen[bytes]]:
        arguments = [
            str(control.fileno()),
            ",".join(map(str, ports)),
            str(self._fleet.folder),
            str(self._photo_folder),
            self._table,
        ]
        code = "from tests.faults.inside import main; main()"
        with (self._fleet.folder / "world.log").open("ab") as log:
            process = subprocess.Popen(
                namespace.command(self._fleet.folder, code, *arguments),
                cwd=_ROOT,
                env=self._fleet.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[control.fileno()],
                start_new_session=True,
            )
        try:
            yield process
        finally:
            # It ends when it reads that we have gone, and its worker before it.
            ours.shutdown(socket.SHUT_RDWR)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                for left in processes(self._fleet.environment[MARK]):
                    left.kill()
                process.wait()
                raise


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@contextmanager
def _socket_pair() -> Generator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def _peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError(pid)


@contextmanager
def inhabited(
    servers: Services, template: str, photo_folder: Path, folder: Path, table: str, **settings: str
) -> Generator[tuple[World, Fleet, Engine]]:
    """A world with a worker, and a relay and a database of its own outside.

    Args:
        servers: the running Postgres and Valkey.
        template: the name of a migrated database.
        photo_folder: the good photos.
        folder: for logs and events.
        table: the module with the test's `cases` and `NAMES`.
        settings: further variables of the worker's environment.
    """
    with contextmanager(project.database)(servers, template) as its_settings:
        urls = Urls(
            its_settings.database_url.get_secret_value(), its_settings.redis_url.get_secret_value()
        )
        engine = make_engine(its_settings, role="test")
        environment = {
            "TAGGER_LOG_FORMAT": "json",
            "TAGGER_OPERATOR": f"photos@{ZONE}",
            "TAGGER_BACKOFF_BASE_S": "0.2",
            "TAGGER_MAX_ATTEMPTS": "2",
            # What a photo ends with is to be seen here, and not how long its host is waited for.
            "TAGGER_HOST_PATIENCE_S": "1",
            "TAGGER_STRANGER_PATIENCE_S": "1",
            "TAGGER_HOST_REST_S": "0.5",
            "TAGGER_HOST_REST_MAX_S": "1",
            # Twice the default: a busy machine must not make good photos late.
            "TAGGER_FETCH_DEADLINE_S": "4",
            "TAGGER_STRAGGLERS_S": "4",
            "TAGGER_SLOW_FETCH_DEADLINE_S": "8",
            MARK: uuid.uuid4().hex,
            **settings,
        }
        with Fleet(urls, folder, environment) as fleet, World(fleet, photo_folder, table) as world:
            fleet.start("relay", "relay")
            yield world, fleet, engine
        engine.dispose()
