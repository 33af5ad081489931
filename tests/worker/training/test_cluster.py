"""Processes that train one network together, started as a user starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.errors import SetupError
from tests.worker.training.shapes import write_shapes
from worker.model.artifact import load

pytest.importorskip("tensorflow")

from worker.training import cluster

REPOSITORY = Path(__file__).resolve().parents[3]


class Pair:
    """Two processes of one training; the first is the chief."""

    def __init__(self, data: Path, out: Path, *, epochs: int) -> None:
        config = {"cluster": {"worker": [f"127.0.0.1:{port}" for port in _free_ports(2)]}}
        self.running = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "tagger", "train", "--recipe", "paper-vanilla"),
                    *("--data", str(data), "--out", str(out), "--work", str(out.parent / "work")),
                    *("--epochs", str(epochs)),
                ],
                cwd=REPOSITORY,
                env={
                    **os.environ,
                    "TF_CONFIG": json.dumps({**config, "task": {"type": "worker", "index": index}}),
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for index in range(2)
        ]

    def ends(self) -> list[tuple[int, str, str]]:
        """Exit code, stdout and stderr of each."""
        try:
            found = [process.communicate(timeout=180) for process in self.running]
        finally:
            for process in self.running:
                process.kill()
        return [
            (process.returncode, out, error)
            for process, (out, error) in zip(self.running, found, strict=True)
        ]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    data, out = write_shapes(tmp_path / "data", 48), tmp_path / "model"
    chief, helper = Pair(data, out, epochs=3).ends()
    assert chief[0] == 0, chief[2]
    assert helper[0] == 0, helper[2]
    artifact = load(out)
    assert f"{artifact.version} is in" in chief[1].replace("\n", " ")
    assert "helped" in helper[1]
    recipe = artifact.manifest.provenance.recipe
    assert (recipe["processes"], recipe["epochs_taken"]) == (2, 3)


def test_one_is_killed_the_other_says_so_and_started_again_they_finish(tmp_path: Path) -> None:
    data, out = write_shapes(tmp_path / "data", 48), tmp_path / "model"
    broken = Pair(data, out, epochs=20)
    deadline = time.monotonic() + 90
    while not list(tmp_path.glob("work/*.npz")) and time.monotonic() < deadline:
        time.sleep(0.01)
    broken.running[1].send_signal(signal.SIGKILL)
    chief, helper = broken.ends()
    assert helper[0] == -signal.SIGKILL
    assert chief[0] == 1
    assert "cluster_lost" in chief[2]
    assert "Traceback" not in chief[2]
    assert not out.exists()
    assert [end[0] for end in Pair(data, out, epochs=20).ends()] == [0, 0]
    assert load(out).manifest.provenance.recipe["processes"] == 2


@pytest.mark.parametrize(
    "told",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"ps": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
)
def test_a_place_that_makes_no_sense_is_refused(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", told)
    with pytest.raises(SetupError, match="TF_CONFIG"):
        cluster.join.__wrapped__()
