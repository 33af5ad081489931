"""How often passwords may be tried: of one name, and in all (pure)."""

from collections import OrderedDict, deque
from typing import Final

OF_A_NAME: Final = 5
OF_ALL: Final = 60
WINDOW_S: Final = 60.0
#: More names than this were tried lately: the oldest are forgotten, and the limit of all holds.
_NAMES: Final = 1000


class Throttle:
    """Counts the failures of the last minute. For one thread."""

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()

    def wait_s(self, name: str, now: float) -> float:
        """How long a name has to wait; 0 where it may try.

        Args:
            name: as typed.
            now: monotonic.
        """
        waits = [_wait_s(self._all, OF_ALL, now)]
        if name in self._failures:
            waits.append(_wait_s(self._failures[name], OF_A_NAME, now))
        return max(waits)

    def failed(self, name: str, now: float) -> None:
        """Counts a try in; take it back with `succeeded`."""
        self._failures.setdefault(name, deque(maxlen=OF_A_NAME)).append(now)
        self._failures.move_to_end(name)
        self._all.append(now)
        while len(self._failures) > _NAMES:
            self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """It was the right password: what failed before was its owner's typing."""
        self._failures.pop(name, None)
        if self._all:
            self._all.pop()


def _wait_s(failures: deque[float], most: int, now: float) -> float:
    while failures and failures[0] <= now - WINDOW_S:
        failures.popleft()
    return failures[0] + WINDOW_S - now if len(failures) >= most else 0.0
