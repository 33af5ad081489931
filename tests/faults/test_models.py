"""A model that is hostile, damaged or wrong never serves; the one before it does."""

import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, write_events
from dev.origin import Origin
from shared.db import models, promotions
from shared.domain.photo import Lane
from tests.faults.aftermath import Aftermath
from tests.marketplace import rows
from tests.origins import Origin as OddOrigin
from tests.origins import answer
from tests.settled import assert_quiet, publish
from tests.waiting import wait_until
from tests.worker.model.drafts import draft
from tests.worker.model.litert import SIDE, litert
from tests.worker.model.renamed import renamed
from worker.model.artifact import write
from worker.model.manifest import InputSize
from worker.process import EXIT_SETUP

#: Each `tagger model` takes a second or two to start.
pytestmark = pytest.mark.timeout(300)

_TAGS = ("red", "green", "blue")
_FILES = ("manifest.json", "model.tflite", "related.json", "MODEL_CARD.md")


def _artifact(folder: Path, model: bytes, **changes: Any) -> Path:
    """Writes an artifact around a LiteRT model, under its right hash."""
    entries: dict[str, Any] = {
        "model": model,
        "input": InputSize(height=SIDE, width=SIDE),
        "vocabulary": _TAGS,
        "thresholds": [0.1] * 3,
        "parents": {},
        "related_names": _TAGS,
        "related_matrix": np.eye(3, dtype=np.float32),
    }
    write(folder, draft(**(entries | changes)), "# Card\n")
    return folder


def _brightness(pixels: Any) -> Any:
    tf: Any = pytest.importorskip("tensorflow")

    return tf.reduce_mean(pixels, [1, 2]) / 255


def _change(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def _in_place_of(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return spoil


def _flipped(folder: Path) -> None:
    content = bytearray((folder / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.tflite").write_bytes(content)


def _named(name: str) -> Callable[[Path], None]:
    entry = {"sha256": "0" * 64, "bytes": 1}
    return lambda folder: _change(folder, lambda it: it["files"].update({name: entry}))


def _with(**entries: Any) -> Callable[[Path], None]:
    return lambda folder: _change(folder, lambda manifest: manifest.update(entries))


def _text(old: str, new: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "manifest.json"
        content = path.read_text()
        assert old in content
        path.write_text(content.replace(old, new, 1))

    return spoil


#: What is done to an honest artifact, and a word of the refusal.
_SPOILED: dict[str, tuple[Callable[[Path], None], str]] = {
    "another hash": (_flipped, "hash"),
    "a file above": (_named("../model.tflite"), "files"),
    "a link": (
        _in_place_of("model.tflite", lambda path: path.symlink_to("/etc/passwd")),
        "symbolic links",
    ),
    "a link to a device": (
        _in_place_of("related.json", lambda path: path.symlink_to("/dev/zero")),
        "symbolic links",
    ),
    "a pipe": (_in_place_of("model.tflite", os.mkfifo), "not a plain file"),
    "1 TB": (lambda folder: os.truncate(folder / "model.tflite", 1 << 40), "more than"),
    "a giant input": (_with(input={"height": 10**9, "width": 10**9}), "input.height"),
    "a tag too many": (_with(vocabulary=[*_TAGS, "x"], thresholds=[0.5] * 4), "shape"),
    "a number beyond all": (_text('"hamming": 0.5', '"hamming": 1e999'), "not JSON"),
    "half a surrogate pair": (_text('"hamming": 0.5', r'"x": "\ud800"'), "not JSON"),
    "a manifest nested deeply": (_text('"hamming": 0.5', f'"x": {"[" * 50_000}'), "not JSON"),
}


def _in_it(tmp_path: Path) -> dict[str, tuple[Callable[[], bytes], str]]:
    """Models of a right hash that must not run, and a word of the refusal."""

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "pwned",))

    def loops(pixels: Any) -> Any:
        tf: Any = pytest.importorskip("tensorflow")

        return tf.while_loop(
            lambda i, _: i < 10**9,  # pyright: ignore[reportUnknownLambdaType]
            lambda i, x: (i + 1, x * 0.9),  # pyright: ignore[reportUnknownLambdaType]
            (0, _brightness(pixels)),
        )[1]

    def swells(pixels: Any) -> Any:
        tf: Any = pytest.importorskip("tensorflow")

        kernel = np.ones([1, 1, 3, 1 << 18], np.float32)
        return _brightness(tf.nn.conv2d(pixels, kernel, 1, "SAME"))[:, :3]

    return {
        "a pickle": (lambda: pickle.dumps(Bomb()), "not a usable LiteRT model"),
        "half a model": (lambda: litert(_brightness)[:600], "LiteRT"),
        "a model that loops": (lambda: litert(loops), "not allowed"),
        "a giant in a small file": (lambda: litert(swells), "bytes"),
        "NaN for all": (lambda: litert(lambda it: _brightness(it) * 0 + np.nan), "black photo"),
    }


@pytest.mark.row("I20")
def test_a_hostile_model_is_refused_in_one_sentence_and_nothing_of_it_is_kept(
    engine: Engine, fleet: Fleet, tmp_path: Path
) -> None:
    expected: dict[str, str] = {}
    honest = litert(_brightness)
    for name, (spoil, word) in _SPOILED.items():
        spoil(_artifact(tmp_path / name, honest))
        expected[name] = word
    for name, (model, word) in _in_it(tmp_path).items():
        _artifact(tmp_path / name, model())
        expected[name] = word

    def add(name: str) -> subprocess.CompletedProcess[bytes]:
        return fleet.run("model", "add", name)

    with ThreadPoolExecutor(2) as threads:
        done = dict(zip(expected, threads.map(add, expected), strict=True))
    for name, word in expected.items():
        # LiteRT itself may print a line about its delegate before it.
        lines = [it for it in done[name].stderr.decode().splitlines() if "INFO: " not in it]
        assert done[name].returncode == 1, (name, done[name].stdout)
        assert len(lines) == 1, (name, lines)
        assert lines[0].startswith("bad_artifact: "), (name, lines)
        assert word in lines[0], (name, lines)
        assert len(lines[0]) < 1000, (name, lines)
    assert rows(engine, "SELECT version FROM model") == []
    store = tmp_path / ".tagger" / "models"
    left = [path.name for path in store.iterdir()] if store.exists() else []
    # What is sound on disk is kept before LiteRT looks at it; nothing names it.
    assert all(name.startswith("vanilla-") for name in left), left
    assert not (tmp_path / "pwned").exists()


@pytest.mark.row("I20")
def test_of_a_folder_nothing_is_kept_that_a_model_does_not_have(
    fleet: Fleet, tmp_path: Path
) -> None:
    folder = _artifact(tmp_path / "honest", litert(_brightness))
    (folder / "model.keras").write_bytes(b"PK\x03\x04 a Lambda")
    (folder / "sitecustomize.py").write_text("raise SystemExit")
    done = fleet.run("model", "add", "honest", "--json")
    assert done.returncode == 0, done.stderr
    kept = Path(json.loads(done.stdout)["location"])
    assert sorted(path.name for path in kept.iterdir()) == sorted(_FILES)


@pytest.mark.row("I20")
def test_a_worker_pinned_to_a_bad_model_says_so_once_and_does_not_start(
    fleet: Fleet, tmp_path: Path
) -> None:
    _flipped(_artifact(tmp_path / "bad", litert(_brightness)))
    fleet.environment["TAGGER_MODEL_DIR"] = "bad"
    done = fleet.run("worker", "--processes", "1", "--queues", "tagging")
    assert done.returncode == EXIT_SETUP
    said = done.stderr.decode()
    assert said.count("model.tflite: its hash is not the manifest's") == 1, said
    assert "Traceback" not in said


@pytest.mark.row("I20")
def test_a_champion_that_became_another_at_its_url_never_serves(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    version = renamed(tmp_path / "second", threshold=0.001).version
    forged = _artifact(tmp_path / "forged", litert(_brightness))
    fleet.environment |= {
        "TAGGER_MODEL_POLL_S": "0.5",
        "TAGGER_MODEL_REFUSED_PAUSE_S": "2",
        "TAGGER_MODEL_FETCH_DEADLINE_S": "5",
    }
    with OddOrigin() as shelf:
        _serve(shelf, tmp_path / "second")
        url = shelf.url("/model")
        added = fleet.run("model", "add", url, "--json")
        assert added.returncode == 0, added.stderr
        shutil.rmtree(tmp_path / ".tagger")
        _serve(shelf, forged)
        fleet.start("relay", "relay")
        fleet.start("worker", "worker", "--processes", "1")
        wait_until(lambda: fleet.log("worker").count("worker.ready") == len(Lane))
        done = fleet.run("model", "promote", version, "--force")
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"is not the one that was registered" in done.stderr
        assert b"Traceback" not in done.stderr
        with engine.begin() as connection:  # as if it had changed right afterwards
            model_id = models.find(connection, version).id
            promotions.promote(connection, model_id, kind="forced", gate={})
        wait_until(lambda: fleet.log("worker").count("model.refused") >= len(Lane))
        total = publish(fleet, photos, origin, tmp_path, copies=2)
        aftermath.check(total)
        # Nor in a worker that never served another: it takes what ships.
        fleet.stop("worker")
        fleet.start("worker", "worker", "--processes", "1")
        total = publish(fleet, photos, origin, tmp_path, copies=4)
        aftermath.check(total)
        assert rows(
            engine,
            "SELECT DISTINCT version = :v FROM photo JOIN model ON model.id = model_id",
            v=version,
        ) == [(False,)]
        # Once its URL has it again, it serves.
        _serve(shelf, tmp_path / "second")
        wait_until(
            lambda: fleet.log("worker").count(f'"version": "{version}", "before"') == len(Lane)
        )
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_quiet(fleet, "relay")
    assert_quiet(fleet, "worker", allowed=("model.refused",))


@pytest.mark.row("I20")
def test_photos_that_a_model_has_no_numbers_for_fail_alone(
    engine: Engine, fleet: Fleet, aftermath: Aftermath, tmp_path: Path
) -> None:
    tf: Any = pytest.importorskip("tensorflow")

    def explodes_on_bright_photos(pixels: Any) -> Any:
        mean = _brightness(pixels)
        return mean + tf.nn.relu(mean - 0.5) * 1e38 * 1e38

    folder = tmp_path / "photos"
    folder.mkdir()
    stripes = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3) // 16 * 4
    for name, grey in (("dark", 30), ("bright", 180)):
        assert cv2.imwrite(str(folder / f"{name}.png"), stripes + np.uint8(grey))
    _artifact(tmp_path / "bad", litert(explodes_on_bright_photos))
    fleet.environment["TAGGER_MODEL_DIR"] = "bad"
    many = [PhotoFile(Path(f"{name}.png"), name) for name in ("dark", "bright", "dark") * 30]
    with Origin(folder) as origin:
        fleet.environment["TAGGER_ALLOWED_PORTS"] = origin.url.rpartition(":")[2]
        write_events(many, origin.url, tmp_path / "events.jsonl")
        fleet.start("relay", "relay")
        fleet.start("worker", "worker", "--processes", "1")
        assert fleet.run("produce", "events.jsonl").returncode == 0
        aftermath.check(len(many))
    assert rows(
        engine,
        """SELECT DISTINCT title, status, error_code FROM photo
        JOIN listing ON listing.id = listing_id ORDER BY 1""",
    ) == [("bright", "failed", "model_error"), ("dark", "tagged", None)]
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_quiet(fleet, "relay", "worker")


def _serve(shelf: OddOrigin, folder: Path) -> None:
    for name in _FILES:
        shelf.serve(f"/model/{name}", answer(200, (folder / name).read_bytes()))
