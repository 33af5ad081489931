"""SIGKILLs of intake and relay at chosen places of a run, each followed by a new start."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final, Self

from bench.webhooks import IntakeProcess
from dev.fleet import Fleet

RELAY: Final = "relay"
_LOOK_S: Final = 0.002
#: No kill before the first and after the last of these shares of all events.
_FROM, _TO = 0.02, 0.95


class Kills:
    """Kills while in its `with` block, whenever so many events are acknowledged."""

    def __init__(
        self,
        fleet: Fleet,
        intake: IntakeProcess,
        acknowledged: Callable[[], int],
        *,
        each: int,
        events: int,
        seed: int,
    ) -> None:
        """Kills nobody yet.

        Args:
            fleet: whose relay it is.
            intake: the other one.
            acknowledged: how many events are, at this moment.
            each: how often each of them is killed.
            events: how many there will be.
            seed: chooses the places.
        """
        chance = random.Random(seed)  # noqa: S311  # chooses faults, guards nothing
        self._left = sorted(
            (round(chance.uniform(_FROM, _TO) * events), name)
            for name in (IntakeProcess.NAME, RELAY)
            for _ in range(each)
        )
        self._fleet = fleet
        self._intake = intake
        self._acknowledged = acknowledged
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kills")
        self.done: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while self._left and not self._stop.wait(_LOOK_S):
            place, name = self._left[0]
            if self._acknowledged() < place:
                continue
            self._left.pop(0)
            self._fleet.kill(name)
            self.done[name] += 1
            if name == RELAY:
                self._fleet.start(RELAY, "relay")
            else:
                self._intake.start()
