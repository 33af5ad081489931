"""A store that takes nothing is said clearly, once, and costs no photo."""

import json
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from dev.services import Urls
from shared.domain.photo import Lane
from tests.faults.aftermath import Aftermath
from tests.marketplace import rows
from tests.origins import Origin as Shelf
from tests.origins import answer
from tests.settled import assert_quiet, publish
from tests.waiting import wait_until
from tests.worker.dataset.catalogues import photo_url, product, write_lines
from tests.worker.model.renamed import renamed

pytestmark = pytest.mark.timeout(300)

_FILES = ("manifest.json", "model.tflite", "related.json", "MODEL_CARD.md")


class _SmallDisk:
    """A file system of its own for one folder, in a mount namespace that dies with its holder."""

    def __init__(self, folder: Path, size_kb: int) -> None:
        folder.mkdir(parents=True)
        mount = f"mount -t tmpfs -o size={size_kb}k none {folder} && echo ready && exec cat"
        self._folder = folder
        self._holder = subprocess.Popen(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", mount],  # noqa: S607
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            pytest.skip("no mount namespace can be made here")
        #: What a command is started by that is to see it; its working folder is then /.
        self.enter = (
            *("nsenter", "--user", "--mount", "--preserve-credentials"),
            *("--target", str(self._holder.pid)),
        )

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()

    def remount(self, options: str) -> None:
        self._run("mount", "-o", f"remount,{options}", str(self._folder))

    def names(self) -> list[str]:
        return sorted(self._run("ls", "-A", str(self._folder)).split())

    def _run(self, *command: str) -> str:
        return subprocess.run(
            [*self.enter, *command], check=True, capture_output=True, text=True
        ).stdout


@pytest.fixture
def disk(tmp_path: Path) -> Generator[_SmallDisk]:
    """A disk of 300 KB, which no model fits on, for the folder `store`."""
    if not (shutil.which("unshare") and shutil.which("nsenter")):
        pytest.skip("needs util-linux")
    disk = _SmallDisk(tmp_path / "store", size_kb=300)
    yield disk
    disk.close()


@pytest.fixture
def beside(fleet: Fleet, disk: _SmallDisk, tmp_path: Path) -> Generator[Fleet]:
    """Commands that keep models on the small disk."""
    settings = fleet.environment | {
        "TAGGER_MODEL_STORE": str(tmp_path / "store"),
        "TAGGER_MODEL_POLL_S": "0.2",
        "TAGGER_MODEL_REFUSED_PAUSE_S": "1",
    }
    urls = Urls(settings["DATABASE_URL"], settings["REDIS_URL"])
    with Fleet(urls, tmp_path, settings, prefix=disk.enter) as beside:
        yield beside


def _serving(fleet: Fleet, version: str) -> int:
    with suppress(FileNotFoundError):
        return fleet.log("worker").count(f'"version": "{version}", "before"')
    return 0


def _refusals(fleet: Fleet) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in fleet.log("worker").splitlines()]
    return [line for line in lines if line["event"] == "model.refused"]


@pytest.mark.row("F19")
@pytest.mark.parametrize(
    ("fault", "end", "said"),
    [("size=300k", "size=64m", "No space left on device"), ("ro", "rw,size=64m", "Read-only file")],
    ids=["full", "read-only"],
)
def test_a_model_that_the_store_does_not_take_waits_and_the_old_one_serves(
    engine: Engine,
    fleet: Fleet,
    beside: Fleet,
    disk: _SmallDisk,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
    *,
    fault: str,
    end: str,
    said: str,
) -> None:
    version = renamed(tmp_path / "second", threshold=0.001).version
    disk.remount(fault)
    with Shelf() as shelf:
        for name in _FILES:
            content = (tmp_path / "second" / name).read_bytes()
            shelf.serve(f"/model/{name}", answer(200, content))
        url = shelf.url("/model")
        fleet.start("relay", "relay")
        beside.start("worker", "worker", "--processes", "1")
        wait_until(lambda: fleet.log("worker").count("worker.ready") == len(Lane))
        assert fleet.log("worker").count("model.not_stored") == len(Lane), (
            "it serves what ships, in place"
        )
        # A command that meets it says so, and registers nothing.
        done = beside.run("model", "add", url)
        assert (done.returncode, done.stdout) == (1, b"")
        assert said.encode() in done.stderr
        assert b"Traceback" not in done.stderr
        # A machine with room registers and promotes it.
        fleet.environment["TAGGER_MODEL_STORE"] = str(tmp_path / "roomy")
        for command in (["add", url], ["promote", version, "--force"]):
            done = fleet.run("model", *command)
            assert done.returncode == 0, done.stderr
        total = publish(fleet, photos, origin, tmp_path, copies=3)
        wait_until(lambda: len(_refusals(fleet)) >= len(Lane))
        aftermath.check(total)
        assert _serving(fleet, version) == 0
        fetched = sum(b"manifest" in head for head in shelf.requests)
        wait_until(lambda: sum(b"manifest" in head for head in shelf.requests) > fetched + 3)
        assert len(_refusals(fleet)) == len(Lane), "once a process, however often it was tried"
        assert all(said in refusal["reason"] for refusal in _refusals(fleet))
        assert disk.names() == [], "nothing half-written is left"
        disk.remount(end)
        aftermath.fault_is_over()
        wait_until(lambda: _serving(fleet, version) == len(Lane))
        assert disk.names() != []
    assert (
        rows(
            engine,
            "SELECT photo.id FROM photo JOIN model ON model.id = model_id WHERE version = :v",
            v=version,
        )
        == []
    )
    assert (fleet.stop(), beside.stop()) == ({"relay": 0}, {"worker": 0})
    assert_quiet(fleet, "worker", allowed=("model.refused", "model.not_stored"))


@pytest.mark.row("F19")
def test_a_preparation_that_fills_the_disk_ends_in_one_clear_sentence(
    beside: Fleet, disk: _SmallDisk, tmp_path: Path
) -> None:
    write_lines(
        tmp_path / "meta.json",
        (product(f"P{n}", urls=[photo_url(f"{n}-{k}") for k in range(9)]) for n in range(9000)),
    )
    done = beside.run(
        "dataset",
        "prepare",
        "--metadata",
        str(tmp_path / "meta.json"),
        "--out",
        str(tmp_path / "store/out"),
    )
    assert done.returncode == 1, done.stdout
    said = done.stderr.decode()
    assert "Traceback" not in said
    assert "No space left on device" in said, said
    assert said.count("\n") == 1, said
    assert disk.names() == [], "nothing half-written is left"
    assert os.listdir(tmp_path / "store") == []  # noqa: PTH208  # it lies in the namespace alone
