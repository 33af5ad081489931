"""The whole benchmark with a handful of photos: real servers, origin and processes, no timing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.throughput.counts import photos_for
from shared.settings import DEFAULT_MODEL

_ROOT = Path(__file__).resolve().parent.parent.parent


def throughput(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.throughput", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.timeout(300)
def test_ours_and_the_papers_way_tag_every_photo_and_a_report_is_written(tmp_path: Path) -> None:
    done = throughput(
        *("--sizes", "thumbnail", "--rounds", "1", "--most", "12", "--out", str(tmp_path)),
        *("--contestants", "ours,paper", "--model", str(DEFAULT_MODEL)),
    )
    assert done.returncode == 0, done.stderr
    scene = json.loads((tmp_path / "throughput.json").read_text())["scenes"]["thumbnail"]
    contestants = scene["contestants"]
    assert set(contestants) == {"ours", "the paper's way"}
    for contestant in contestants.values():
        [only] = contestant["rounds"]
        assert (only["photos"], only["failed"]) == (12, 0)
        assert only["seconds"] > 0
        assert sum(only["cpu_s"].values()) > 0
        assert only["largest_mb"] > 50
    assert set(contestants["ours"]["rounds"][0]["cpu_s"]) == {
        *("worker", "relay", "postgres", "valkey", "origin", "producer"),
    }
    assert scene["limit"]["photos_per_s"] > 0
    assert "| thumbnail | ours |" in (tmp_path / "throughput.md").read_text()
    assert (tmp_path / "throughput.png").read_bytes().startswith(b"\x89PNG")
    assert not list((tmp_path / "servers").glob("*/alive"))


@pytest.mark.parametrize("option", ["--sizes", "--contestants"])
def test_what_does_not_exist_is_named_before_anything_starts(option: str, tmp_path: Path) -> None:
    done = throughput(option, "nonsense", "--out", str(tmp_path))
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_gets_more_photos_than_asked_for_and_latency_is_no_hour() -> None:
    assert photos_for("ours", "mid", most=10) == photos_for("ours", "mid", most=10, times=9) == 10
    assert photos_for("ours", "mid", times=3) == 3 * photos_for("ours", "mid")
    assert photos_for("paper", "mid", latency_ms=200) == 1000
    assert photos_for("paper", "mid", https=True) == 2000
    assert photos_for("ours", "mid", https=True) == photos_for("ours", "mid")
    assert photos_for("ours", "mid", latency_ms=200) == photos_for("ours", "mid")
    assert photos_for("ours", "large", progressive=True) < photos_for("ours", "large")
