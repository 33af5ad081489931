"""Looks at the processes and the progress every few seconds."""

import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from bench.soak.load import Load
from bench.soak.world import STEADY_RELAY, STEADY_WORKER, World
from dev.processes import children

_LOOK_S = 2.0
_PAGE_BYTES = 4096
_GONE = (FileNotFoundError, ProcessLookupError, IndexError)


@dataclass(frozen=True, slots=True)
class Look:
    """One process at one moment."""

    at_s: float  #: since the soak's start
    process: str
    rss_mb: float
    descriptors: int


class Watch:
    """Follows the steady processes from its start to its stop.

    Attributes:
        looks: of each process, in time.
        progress: (seconds since the start, photos settled), where Postgres could be asked.
    """

    def __init__(self, world: World, load: Load, database_url: str) -> None:
        """Starts nothing yet."""
        self._world = world
        self._load = load
        self._database_url = database_url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        self._began = time.monotonic()
        self.looks: list[Look] = []
        self.progress: list[tuple[float, int]] = []

    @property
    def now_s(self) -> float:
        """Seconds since the soak's start."""
        return time.monotonic() - self._began

    def start(self) -> None:
        """Looks from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            supervisor = self._world.fleet.pid(STEADY_WORKER)
            pids = {f"worker {n}": pid for n, pid in enumerate(sorted(children(supervisor)), 1)}
            pids |= {"supervisor": supervisor, "relay": self._world.fleet.pid(STEADY_RELAY)}
            for name, pid in pids.items():
                with suppress(*_GONE):
                    self.looks.append(_look(self.now_s, f"{name} ({pid})", pid))
            with suppress(psycopg2.Error):
                self._load.settled = self._settled()
                self.progress.append((self.now_s, self._load.settled))

    def _settled(self) -> int:
        # Listings of one photo have one document once it is settled; this is one row to read.
        options = "-c statement_timeout=1000"
        with (
            closing(
                psycopg2.connect(self._database_url, connect_timeout=1, options=options)
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT position FROM feed_head")
            [(position,)] = cursor.fetchall()
            return int(position)


def _look(at_s: float, process: str, pid: int) -> Look:
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    descriptors = len([*(folder / "fd").iterdir()])
    return Look(at_s, process, pages * _PAGE_BYTES / 1e6, descriptors)
