"""What is looked at after a fault: that all is settled, how soon, and that nothing leaks."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf

import psutil
from sqlalchemy import Engine

from dev.fleet import Fleet
from tests.marketplace import rows
from tests.settled import Tags, assert_settled
from tests.waiting import wait_until

#: A process of this project is known by this variable, which its children inherit.
MARK = "LISTING_TAGGER_TEST"
_POLL_S = 0.02


class Aftermath:
    """Times a recovery, and holds the world against one without faults.

    Attributes:
        recovery_s: from the fault's end to the first photo settled after it; inf before that.
        settled_s: from the fault's end until all were.
    """

    def __init__(
        self,
        engine: Engine,
        fleet: Fleet,
        calm_tags: Mapping[str, Tags],
        note: Callable[[str, object], None],
    ) -> None:
        self._engine = engine
        self._fleet = fleet
        self._calm_tags = calm_tags
        self._note = note
        self._over_at: float | None = None
        self._settled_then = 0
        self.recovery_s = self.settled_s = inf

    def fault_is_over(self) -> None:
        """The fault ends at this moment; recovery counts from here."""
        self._settled_then = self._settled()
        self._over_at = time.monotonic()

    def check(self, photos: int, *, timeout_s: float = 60) -> None:
        """Waits until so many photos are settled; then all must be as if nothing had been."""
        deadline = time.monotonic() + timeout_s
        while (settled := self._settled()) < photos:
            if self.recovery_s == inf and settled > self._settled_then:
                self.recovery_s = self._since()
            assert time.monotonic() < deadline, f"{settled} of {photos} are settled"
            time.sleep(_POLL_S)
        self.settled_s = self._since()
        self.recovery_s = min(self.recovery_s, self.settled_s)
        if self._over_at is not None:
            self._note("recovery_s", round(self.recovery_s, 2))
            self._note("settled_s", round(self.settled_s, 2))
        assert_settled(self._engine, photos, self._calm_tags)
        self.assert_no_leaks()

    def assert_no_leaks(self) -> None:
        """No process of the fleet holds a connection that its peer has closed."""
        mark = self._fleet.environment[MARK]
        wait_until(
            lambda: not _half_closed(mark), timeout_s=10, otherwise=lambda: _half_closed(mark)
        )

    def _since(self) -> float:
        return 0.0 if self._over_at is None else time.monotonic() - self._over_at

    def _settled(self) -> int:
        [(count,)] = rows(
            self._engine, "SELECT count(*) FROM photo WHERE status IN ('tagged', 'failed')"
        )
        return count


def processes(mark: str) -> list[psutil.Process]:
    """The living processes that carry this mark."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.environ().get(MARK) == mark:
                found.append(process)
    return found


def _half_closed(mark: str) -> list[str]:
    leaks: list[str] = []
    for process in processes(mark):
        with suppress(psutil.Error):
            leaks += [
                f"{process.pid}: {connection.raddr}"
                for connection in process.net_connections("tcp")
                if connection.status == psutil.CONN_CLOSE_WAIT
            ]
    return leaks
