"""A process whose work does not move is ended, and no other."""

import subprocess
import sys
import time
from pathlib import Path

from shared.watchdog import EXIT_STUCK, Watchdog

_STUCK = """
import time
from shared.watchdog import Watchdog
with Watchdog(0.5).watching():
    time.sleep(60)
"""


def test_stuck_work_ends_the_process() -> None:
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", _STUCK],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == EXIT_STUCK
    assert time.monotonic() - started < 20


def test_work_that_ends_in_time_is_left_alone() -> None:
    watchdog = Watchdog(0.2)
    with watchdog.watching():
        pass
    time.sleep(1.5)  # long enough for the watchdog to look; this process is still here
