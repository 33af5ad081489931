"""A process whose work does not move is ended, and no other."""

import subprocess
import sys
import time
from pathlib import Path

from shared.watchdog import EXIT_STUCK

_STUCK = """
import time
from shared.watchdog import Watchdog
with Watchdog(0.5).watching():
    time.sleep(60)
"""


_IN_TIME = """
import time
from shared.watchdog import Watchdog
with Watchdog(0.2).watching():
    pass
time.sleep(2.5)
"""


def _run(program: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_stuck_work_ends_the_process() -> None:
    started = time.monotonic()
    assert _run(_STUCK).returncode == EXIT_STUCK
    assert time.monotonic() - started < 30


def test_work_that_ends_in_time_is_left_alone() -> None:
    assert _run(_IN_TIME).returncode == 0
