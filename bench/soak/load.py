"""A steady load: new listings whenever the backlog falls below a mark."""

import itertools
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from bench.events import event
from dev.fleet import Fleet

log = structlog.get_logger()

_BATCH = 2_000
_PAUSE_S = 0.2


class Load:
    """Publishes listings of one photo each through `tagger produce`, in a thread.

    Attributes:
        published: listings whose events were recorded.
        repeated: how often a batch had to be offered again.
        settled: set by whoever watches; the load follows it.
    """

    def __init__(self, fleet: Fleet, urls: Sequence[str], *, backlog: int) -> None:
        """Starts nothing yet; each listing gets one of the URLs, with a query of its own."""
        self._fleet = fleet
        self._urls = urls
        self._backlog = backlog
        self._stop = threading.Event()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self.published = 0
        self.repeated = 0
        self.settled = 0

    def start(self) -> None:
        """Publishes from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the batch in hand, which is published whole."""
        self._stop.set()
        self._thread.join()

    def abandon(self) -> None:
        """Ends after the attempt in hand, at most a minute, published or not."""
        self._abandoned.set()
        self.stop()

    def _run(self) -> None:
        numbers = itertools.count()
        while not self._stop.is_set():
            if self.published - self.settled >= self._backlog:
                self._stop.wait(_PAUSE_S)
                continue
            now = datetime.now(UTC)
            lines = [
                event(number, [f"{self._urls[number % len(self._urls)]}?{number}"], now)
                for number in itertools.islice(numbers, _BATCH)
            ]
            if not self._publish("".join(f"{line}\n" for line in lines).encode()):
                return
            self.published += _BATCH

    def _publish(self, events: bytes) -> bool:
        # Publishing twice records nothing twice, so a failure is answered by doing it again.
        while self._fleet.run("produce", "-", stdin=events, timeout_s=600).returncode:
            if self._abandoned.wait(1):
                return False
            self.repeated += 1
        return True
