"""Processes that wait for a word, and what is left of them."""

import os
import sys
from pathlib import Path

import pytest

from bench.throughput.child import Child
from dev.processes import wait_for
from shared.errors import SetupError

_TWICE = """
from bench.throughput.child import perform
perform(lambda: print("a library's chatter") or {"n": 1}, lambda: {"n": 2})
"""


def child(code: str, folder: Path, limit_s: float = 60) -> Child:
    return Child(
        [sys.executable, "-c", code], log=folder / "log", environment=os.environ, limit_s=limit_s
    )


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def is_dead(pid: int) -> bool:
    """Whether it only waits for whoever inherited it to notice."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}


def test_it_works_at_each_word_and_is_gone_afterwards(tmp_path: Path) -> None:
    with child(_TWICE, tmp_path) as one:
        one.until_ready()
        found: list[int] = []
        for _ in range(2):
            one.work()
            found.append(one.result()["n"])
        assert found == [1, 2]
        assert is_there(one.pid)
    assert not is_there(one.pid)
    assert "chatter" in (tmp_path / "log").read_text()


def test_its_own_children_go_with_it(tmp_path: Path) -> None:
    code = "import subprocess\nprint(subprocess.Popen(['sleep', '60']).pid, flush=True)\ninput()"
    with child(code, tmp_path) as one:
        grandchild = int(one.result())  # pyright: ignore[reportArgumentType]  # a bare number
        assert is_there(grandchild)
    assert wait_for(lambda: not is_there(grandchild) or is_dead(grandchild), 10)


def test_one_that_ends_early_is_an_error_that_names_its_log(tmp_path: Path) -> None:
    one = child("raise SystemExit('no such thing')", tmp_path)
    with one, pytest.raises(SetupError, match=str(tmp_path / "log")):
        one.until_ready()
    assert "no such thing" in (tmp_path / "log").read_text()


def test_one_that_hangs_is_killed_at_its_limit(tmp_path: Path) -> None:
    one = child("import time; time.sleep(60)", tmp_path, limit_s=0.5)
    with one, pytest.raises(SetupError, match="ended early"):
        one.until_ready()


def test_its_exit_code_comes_back_when_it_was_fed(tmp_path: Path) -> None:
    with child("import sys; sys.exit(len(sys.stdin.read()))", tmp_path) as one:
        assert one.feed("four") == 5  # and the end of the line
