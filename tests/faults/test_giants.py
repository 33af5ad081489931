"""Photos that take longer to decode than their batch may last."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, write_events
from dev.origin import Origin
from tests.marketplace import rows
from tests.settled import assert_settled, wait_until_settled

_PHOTOS = 12


@pytest.fixture(scope="module")
def giants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a PNG of 36 megapixels, which no reduced scale makes cheaper to decode."""
    folder = tmp_path_factory.mktemp("giants")
    squares = np.arange(36, dtype=np.uint8).reshape(6, 6) * 7
    picture = np.kron(squares, np.ones((1000, 1000), np.uint8))
    assert cv2.imwrite(str(folder / "giant.png"), cv2.merge([picture, picture.T, picture]))
    return folder


def test_what_a_batch_has_no_time_for_is_left_for_another_and_costs_no_attempt(
    engine: Engine, fleet: Fleet, giants: Path, tmp_path: Path
) -> None:
    with Origin(giants) as origin:
        # Half of this is for decoding: a few of them, and far from all.
        fleet.environment |= {
            "TAGGER_WORKING_LEASE_S": "3",
            "TAGGER_ALLOWED_PORTS": origin.url.rpartition(":")[2],
        }
        many = [PhotoFile(Path("giant.png"), f"giant {n}") for n in range(_PHOTOS)]
        write_events(many, origin.url, tmp_path / "events.jsonl")
        fleet.start("relay", "relay")
        fleet.start("worker", "worker", "--processes", "1")
        assert fleet.run("produce", str(tmp_path / "events.jsonl")).returncode == 0
        wait_until_settled(engine, _PHOTOS, timeout_s=200)
    assert_settled(engine, _PHOTOS)
    assert rows(engine, "SELECT DISTINCT status, attempt, crashes FROM photo") == [("tagged", 1, 0)]
    overdue = re.findall(r'"errors": {"overdue": (\d+)}', fleet.log("worker"))
    assert overdue, "no batch was too long: the test shows nothing"
    assert 0 < int(overdue[0]) < _PHOTOS
