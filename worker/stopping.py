"""Whether this process was asked to stop, and until when its downloads may go on."""

import math
import time
from collections.abc import Callable


class Stopping:
    """The end of a process, as its threads see it coming."""

    def __init__(self, asked: Callable[[], bool], *, grace_s: float) -> None:
        """Nothing is asked of it yet, or so it may be.

        Args:
            asked: whether the process was asked to stop; it cannot be taken back.
            grace_s: how long its downloads may go on from then.
        """
        self._asked = asked
        self._grace_s = grace_s
        self._leave_at = math.inf

    def __bool__(self) -> bool:
        """Whether nothing new should be begun."""
        return self._asked()

    def leave_at(self) -> float:
        """When what has not arrived is left to others (monotonic); infinity until it is asked.

        The grace counts from the first call after the asking: call it often.
        """
        if math.isinf(self._leave_at) and self._asked():
            self._leave_at = time.monotonic() + self._grace_s
        return self._leave_at
