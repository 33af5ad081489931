"""A process that keeps too much memory ends warmly, one that takes far too much at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from worker.memory import EXIT_MEMORY

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")

_PROGRAM = """
import os, signal, sys, time
from worker.memory import MemoryWatch, resident_bytes
signal.signal(signal.SIGTERM, lambda *_: (print("asked", flush=True), sys.exit(0)))
before = resident_bytes()
MemoryWatch(
    recycle_bytes=before + (40 << 20),
    max_bytes=before + (200 << 20),
    kept_s={kept_s},
    least_age_s={least_age_s},
    trim_s={trim_s},
)
"""


def _run(
    rest: str, *, kept_s: float = 0.5, least_age_s: float = 0, trim_s: float = 30
) -> subprocess.CompletedProcess[str]:
    program = _PROGRAM.format(kept_s=kept_s, least_age_s=least_age_s, trim_s=trim_s)
    return subprocess.run(
        [sys.executable, "-c", program + rest],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_one_that_keeps_too_much_is_asked_to_end_once() -> None:
    ended = _run(
        "signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
        "kept = b'x' * (80 << 20)\ntime.sleep(3)"
    )
    assert ended.returncode == 0
    assert ended.stdout.count("asked") == ended.stdout.count("memory.recycling") == 1


def test_what_is_taken_for_a_moment_is_no_reason() -> None:
    ended = _run(
        "for _ in range(6):\n"
        "    taken = b'x' * (80 << 20); time.sleep(0.3); del taken; time.sleep(0.7)",
        kept_s=4,
    )
    assert ended.returncode == 0
    assert "asked" not in ended.stdout


def test_what_the_allocator_holds_for_nobody_goes_back() -> None:
    # Below malloc's mmap threshold; the last block keeps the heap from shrinking by itself.
    program = (
        "blocks = [bytes([n % 256]) * 4000 for n in range(20_000)]; full = resident_bytes()\n"
        "del blocks[:-1]; time.sleep(1)\n"
        "print(full - resident_bytes())"
    )
    assert int(_run(program, kept_s=60, trim_s=0.2).stdout) > 60 << 20
    assert int(_run(program, kept_s=60, trim_s=60).stdout) < 20 << 20


def test_a_young_one_is_not_asked_to_end() -> None:
    """Its supervisor would take it for one that cannot live, and start it ever later."""
    kept = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nkept = b'x' * (80 << 20)\n"
    ended = _run(kept + "time.sleep(4)", least_age_s=3600)
    assert ended.returncode == 0
    assert "memory.recycling" not in ended.stdout
    begun = "begun = time.monotonic()\n"
    asked = "signal.signal(signal.SIGTERM, lambda *_: print(time.monotonic() - begun))\n"
    ended = _run(begun + asked + "kept = b'x' * (80 << 20)\ntime.sleep(8)", least_age_s=4)
    assert float(ended.stdout.split()[-1]) > 2, "an older one is"


def test_one_that_takes_far_too_much_ends_at_once() -> None:
    ended = _run(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntaken = b'x' * (400 << 20)\ntime.sleep(30)"
    )
    assert ended.returncode == EXIT_MEMORY
    assert "memory.too_much" in ended.stdout


def test_a_limit_below_what_the_process_starts_with_recycles_nothing() -> None:
    ended = _run(
        "MemoryWatch(recycle_bytes=1 << 20, max_bytes=before + (200 << 20), kept_s=0.1)\n"
        "time.sleep(1)"
    )
    assert ended.returncode == 0
    assert "asked" not in ended.stdout
    assert "memory.limit_too_low" in ended.stdout
