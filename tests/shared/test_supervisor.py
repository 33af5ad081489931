"""Processes are kept running, and end with their supervisor."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.waiting import wait_until

_SUPERVISE = """
import sys
from shared.supervisor import Supervisor
command = [sys.executable, "-c", sys.argv[1]]
sys.exit(Supervisor([command], grace_s=1, hopeless=78, well_s=0.5).run())
"""


def _start(child: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _SUPERVISE, child],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
    )


def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    supervisor = _start("open('starts', 'a').write('x'); import os; os._exit(9)", tmp_path)
    starts = tmp_path / "starts"
    wait_until(lambda: starts.exists() and len(starts.read_text()) >= 2)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(10) == 0


def test_a_process_that_was_well_and_ended_by_itself_is_started_again_at_once(
    tmp_path: Path,
) -> None:
    supervisor = _start("open('starts', 'a').write('x'); import time; time.sleep(1)", tmp_path)
    starts = tmp_path / "starts"
    wait_until(lambda: starts.exists() and len(starts.read_text()) >= 3)
    supervisor.send_signal(signal.SIGTERM)
    output, _ = supervisor.communicate(timeout=10)
    assert supervisor.returncode == 0
    assert output.count(b"worker.recycled") >= 2
    assert b"worker.died" not in output


def test_a_set_up_that_cannot_work_ends_it_all(tmp_path: Path) -> None:
    assert _start("raise SystemExit(78)", tmp_path).wait(15) == 78


def test_a_set_up_that_broke_later_does_not_stop_what_still_works(tmp_path: Path) -> None:
    child = "import os; n = len(os.listdir('.')); open(str(n), 'w'); os._exit(1 if n == 0 else 78)"
    supervisor = _start(child, tmp_path)
    wait_until(lambda: len([*tmp_path.iterdir()]) >= 3)
    assert supervisor.poll() is None
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(10) == 0


def test_a_process_that_does_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    child = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); open('up', 'w'); time.sleep(99)"
    )
    supervisor = _start(child, tmp_path)
    wait_until((tmp_path / "up").exists)
    [process] = psutil.Process(supervisor.pid).children()
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(10) == 0
    assert not process.is_running()
