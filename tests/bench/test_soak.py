"""A short soak, and how its figures are made."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.soak.load import Load
from bench.soak.report import quiet_s, slope_per_hour
from bench.soak.verdict import Verdict
from dev.fleet import Fleet
from dev.services import Urls
from tests.waiting import wait_until

_FOUND = {
    "photos": 10,
    "tagged": 10,
    "failed": 0,
    "leases left": 0,
    "documents doubled": 0,
    "gaps in the feed": 0,
    "photo files with two sets of tags": 0,
}


def test_a_slope_is_that_of_the_warm_part() -> None:
    cold = [(float(at), 0.0) for at in range(20)]
    warm = [(float(at), 100.0 + at) for at in range(20, 100)]
    assert slope_per_hour([*cold, *warm]) == pytest.approx(3600)
    assert slope_per_hour([(1.0, 5.0)]) == 0


def test_the_quiet_time_of_a_fault_is_the_longest_gap_that_touches_it() -> None:
    progress = [(0.0, 0), (2.0, 5), (4.0, 5), (6.0, 5), (8.0, 9), (10.0, 12), (40.0, 13)]
    assert quiet_s(progress, 3, 4) == 6
    assert quiet_s(progress, 8.5, 9) == 30
    assert quiet_s([], 0, 1) == 0


@pytest.mark.parametrize(
    ("changed", "good"),
    [
        ({}, True),
        ({"tagged": 9}, False),
        ({"tagged": 9, "failed": 1}, False),
        ({"documents doubled": 1}, False),
        ({"photos": 11}, False),
        ({"gaps in the feed": 1}, False),
        ({"leases left": 1}, False),
        ({"photo files with two sets of tags": 1}, False),
    ],
)
def test_a_soak_is_good_only_if_every_photo_has_one_end(
    changed: dict[str, int], *, good: bool
) -> None:
    assert Verdict(10, _FOUND | changed, {}).good == good


def test_a_load_that_cannot_publish_ends_when_it_is_abandoned(tmp_path: Path) -> None:
    with Fleet(Urls("nowhere", "nowhere"), tmp_path) as fleet:
        load = Load(fleet, ["http://origin.test/1.jpg"], backlog=1)
        load.start()
        wait_until(lambda: load.repeated > 0)
        load.abandon()
    assert load.published == 0


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_minute_of_soaking_loses_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.soak", "--minutes", "1", "--every-s", "10"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((tmp_path / "soak.json").read_text())
    assert len(found["faults"]) == 5
    assert found["verdict"]["found"]["tagged"] == found["verdict"]["published"] > 0
