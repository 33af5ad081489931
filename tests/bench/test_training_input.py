"""Photos downloaded by the real command, and every one of them read in every epoch."""

import json
from pathlib import Path

import pytest

from bench.throughput.origin import Origin
from bench.training_input.download import Download, chosen, download, prepare
from bench.training_input.report import as_json, rates, sections
from bench.training_input.turns import MEMORY, SHARDS, Input, Turn
from shared.errors import SetupError
from tests.worker.training.shapes import write_shapes
from worker.dataset.labelled import read_dataset
from worker.training.recipes import recipe_of


def test_photos_go_to_shards_and_come_back_in_batches(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    from bench.training_input.epochs import measure  # noqa: PLC0415

    data = write_shapes(tmp_path / "shapes", 40)
    photos, rows = chosen(data, 20)
    assert [str(file) for file in photos.files] == [f"photos/{n:04}.jpg" for n in range(0, 40, 2)]
    folder = tmp_path / "downloaded"
    with Origin(photos) as origin:
        prepare(folder, rows, [f"{origin.url}{path}" for path in photos.paths(len(rows))])
        done = download(folder, origin)
    assert (done.photos, done.failed) == (20, {})
    assert done.photos_per_s == 20 / done.seconds
    assert done.cpu_s["download"] > 0
    stored = read_dataset(folder)
    bodies = {(data / row.photo).read_bytes() for row in rows}
    assert {stored.body(photo) for photo in stored.photos} == bodies
    with pytest.raises(SetupError, match="in shards"):
        chosen(folder, 5)
    said: list[str] = []
    recipe = recipe_of("paper-vanilla")
    found = measure(folder, tmp_path / "work", recipe, rounds=2, turn_s=0, say=said.append)
    assert found.images == 20
    assert [turn.source for turn in found.turns] == [SHARDS, MEMORY, MEMORY, SHARDS]
    assert {turn.images for turn in found.turns} == {20}
    assert len(said) == 4


def test_medians_and_their_ratio_are_told_by_source() -> None:
    turns = [Turn(SHARDS, images, 1.0) for images in (100, 300, 200)]
    turns += [Turn(MEMORY, images, 0.5) for images in (200, 100, 900)]
    found = Input(50, 0.5, turns)
    assert rates(found) == {SHARDS: 200, MEMORY: 400}
    downloads = [
        Download(100, {"not_found": 2}, 0.5, {"download": 0.1, "origin": 0.01}, megabytes=3)
    ]
    told = json.loads(json.dumps(as_json(downloads, found, {"cores": 2})))
    assert told["input"]["ratio"] == 0.5
    assert told["downloads"][0]["photos_per_s"] == 200
    downloaded, read = sections(downloads, found, "100 photos")
    assert list(downloaded.rows[0]) == [
        *(1, 100, "not_found: 2", "0.50", "200", "6.00", "1,000", "100"),
    ]
    assert [row[1] for row in read.rows] == ["100", "200", "400"]
    assert read.rows[1][3] == "0.50"
