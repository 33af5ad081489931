"""Waiting for something, for as long as a busy machine may take."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

_LOOK_S: Final = 0.05


def wait_until(
    condition: Callable[[], T], timeout_s: float = 60, *, otherwise: Callable[[], object] = str
) -> T:
    """Waits until the condition is true, and returns what it was then.

    Args:
        condition: looked at again and again.
        timeout_s: the test fails after it.
        otherwise: what the failure shows, such as a log.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, otherwise()
        time.sleep(_LOOK_S)
    return found
