"""CPU and memory of real processes that do a known amount of work."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from bench.throughput.cpu import Usage, cpu_seconds, is_waiting, measuring
from tests.waiting import wait_until

#: Burns CPU by its own clock, so that a busy machine changes nothing.
_BURN = """
import sys, time
def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
"""
_BURN_AND_STAY = f"{_BURN}burn(0.5); print(flush=True); time.sleep(60)"
_WORK = {
    "itself": f"{_BURN}burn(0.5)",
    "a child that has ended": f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {_BURN + "burn(0.5)"!r}], check=True)""",
    "a child that still runs": f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {_BURN_AND_STAY!r}], stdout=subprocess.PIPE)
child.stdout.readline()""",
}


@contextmanager
def process(work: str) -> Generator[subprocess.Popen[str]]:
    """A Python process that waits for a line, works, says so and waits again."""
    code = f"input()\n{work}\nprint('done', flush=True)\ninput()\n"
    started = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield started
    finally:
        os.killpg(started.pid, 9)
        with started:
            pass


def let_work(started: subprocess.Popen[str]) -> None:
    assert started.stdin is not None
    assert started.stdout is not None
    started.stdin.write("go\n")
    started.stdin.flush()
    assert started.stdout.readline().strip() == "done"


@pytest.mark.parametrize("who", _WORK)
def test_the_cpu_of_a_process_and_its_children_adds_up(who: str) -> None:
    with process(_WORK[who]) as busy, process("") as idle:
        roots = {"busy": busy.pid, "idle": idle.pid}
        with measuring(roots, memory_of="busy") as usage:
            let_work(busy)
            let_work(idle)
    # Starting a child costs something too, so the upper bound is loose.
    assert 0.48 <= usage.cpu_s["busy"] <= 1.5
    assert usage.cpu_s["idle"] < 0.3
    assert usage.seconds >= 0.48
    assert 5 < usage.largest_mb < 100
    assert 0 < usage.together_mb < 200


def test_the_largest_process_is_found_among_children_and_what_it_held_is_kept() -> None:
    child = "import time; held = b'x' * 150_000_000; del held; print(flush=True); time.sleep(60)"
    work = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
child.stdout.readline()"""
    with process(work) as parent, measuring({"it": parent.pid}, memory_of="it") as usage:
        let_work(parent)
    assert usage.largest_mb > 140
    assert usage.together_mb < 140  # looked at after it had let go


def test_a_process_that_has_ended_keeps_its_cpu_until_it_is_waited_for() -> None:
    ended = subprocess.Popen([sys.executable, "-c", f"{_BURN}burn(0.3)"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert cpu_seconds({"it": ended.pid})["it"] >= 0.28
    assert is_waiting(ended.pid)
    ended.wait()
    assert cpu_seconds({"it": ended.pid})["it"] == 0
    assert is_waiting(ended.pid)


def test_a_sleeper_is_waiting_and_a_worker_is_not() -> None:
    with process(f"{_BURN}burn(60)") as busy:
        wait_until(lambda: is_waiting(busy.pid))
        assert busy.stdin is not None
        busy.stdin.write("go\n")
        busy.stdin.flush()
        wait_until(lambda: not is_waiting(busy.pid))


def test_growth_is_that_from_the_middle_of_a_run_to_its_end() -> None:
    assert Usage(looks_mb=[10, 90, 50, 50, 70, 80]).grew_mb == 25
    assert Usage(looks_mb=[10, 50, 50, 50, 50, 50]).grew_mb == 0, "a start is no growth"
    assert Usage(looks_mb=[10, 90]).grew_mb == 0
    assert Usage(looks_mb=[10, 90]).together_mb == 90
