"""What decoding costs and changes, measured on a few photos."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.decode.__main__ import decode
from bench.decode.parity import PLAIN, PROGRESSIVE, parities
from bench.decode.speed import speeds
from bench.decode.ways import FIRST_SCANS, FULL, REDUCED, WAYS
from bench.throughput.photos import generated
from shared.settings import DEFAULT_MODEL
from worker.model.artifact import load


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos, and what is none."""
    folder = tmp_path_factory.mktemp("photos")
    generated("mid", folder, files=3)
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def test_a_progressive_photo_is_decoded_out_of_a_part_of_its_bytes(tmp_path: Path) -> None:
    plain, progressive = speeds(["mid", "mid-progressive"], [48], tmp_path, rounds=2)
    assert (plain.photos, plain.side, plain.scale, plain.given) == ("mid", 48, 4, 1)
    assert progressive.given < 0.4
    assert set(progressive.us) == set(WAYS)
    assert min(progressive.us.values()) > 0
    assert 30_000 < progressive.mean_bytes < 80_000


def test_the_ways_differ_on_the_files_that_they_read_differently(photos: Path) -> None:
    bodies = [file.read_bytes() for file in sorted(photos.iterdir())]
    found = {
        (one.file, one.way, one.other): one for one in parities(bodies, load(DEFAULT_MODEL), 1)
    }
    assert {(one.scale, one.photos) for one in found.values()} == {(4, 3)}
    assert found[PLAIN, REDUCED, FULL].pixels > 0.1
    first = found[PROGRESSIVE, FIRST_SCANS, REDUCED]
    assert 0.05 < first.pixels < found[PROGRESSIVE, FIRST_SCANS, FULL].pixels < 3
    for one in found.values():
        assert 0 <= one.equal_photos <= one.equal_decisions <= 1
        assert 0 <= one.median_score < 0.1


def test_photos_that_are_enlarged_are_decoded_at_a_smaller_fraction(photos: Path) -> None:
    bodies = [(photos / "0.jpg").read_bytes()]
    scales = {
        enlarge: {one.scale for one in parities(bodies, load(DEFAULT_MODEL), enlarge)}
        for enlarge in (1, 2)
    }
    assert scales == {1: {4}, 2: {8}}


def test_the_command_shows_and_writes_what_it_found(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found" / "decode.json"
    decode(
        photos=photos, limit=2, enlarge=1, sizes="thumbnail", rounds=1, model=DEFAULT_MODEL, out=out
    )
    found = json.loads(out.read_text())
    assert [(one["photos"], one["side"]) for one in found["speed"]] == [
        ("thumbnail", 35),
        ("thumbnail", 48),
    ]
    assert all(set(one["us"]) == set(WAYS) for one in found["speed"])
    assert {one["file"] for one in found["parity"]} == {PLAIN, PROGRESSIVE}
    assert {one["photos"] for one in found["parity"]} == {2}
    assert "first scans to full" in capsys.readouterr().out


def test_all_ways_lead_to_the_same_picture() -> None:
    gradient = np.linspace(0, 255, 400, dtype=np.uint8)
    picture = np.stack([np.tile(gradient, (400, 1))] * 3, axis=2)
    options = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    body = cv2.imencode(".jpg", picture, options)[1].tobytes()
    full = WAYS[FULL](body, 48).astype(int)
    for way in WAYS.values():
        assert np.abs(way(body, 48) - full).max() <= 3
