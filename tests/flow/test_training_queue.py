"""Training runs beside tagging, on a queue and a worker of its own."""

import importlib.util
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from tests.marketplace import rows
from tests.waiting import wait_until
from tests.worker.training.shapes import write_shapes

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="needs the extra `train`"
)


def _wait_for_run(engine: Engine, fleet: Fleet) -> tuple[str, str | None, int]:
    query = """SELECT status, error_code, attempt FROM training_run
        WHERE status IN ('succeeded', 'failed')"""
    [(status, error_code, attempt)] = wait_until(
        lambda: rows(engine, query), timeout_s=100, otherwise=lambda: fleet.log("training")
    )
    return status, error_code, attempt


def test_a_training_asked_for_by_row_ends_with_a_candidate_model(
    engine: Engine, fleet: Fleet, tmp_path: Path
) -> None:
    write_shapes(tmp_path / "data", 90)
    fleet.start("relay", "relay")
    fleet.start("training", "worker", "--queues", "training")
    asked = fleet.run(
        *("train", "--queue", "--recipe", "paper-vanilla", "--epochs", "2"),
        *("--data", "data", "--out", "model"),
    )
    assert asked.returncode == 0, asked.stderr
    assert _wait_for_run(engine, fleet) == ("succeeded", None, 1)
    [(status, version, progress)] = rows(
        engine,
        """SELECT model.status, version, progress FROM training_run
        JOIN model ON model.id = model_id""",
    )
    assert status == "candidate"
    assert version in (tmp_path / "model" / "manifest.json").read_text()
    assert progress == {"stage": "writing"}
    [(recipe,)] = rows(engine, "SELECT recipe FROM model")
    assert (recipe["network"], recipe["epochs_taken"]) == ("vanilla", 2)
    assert fleet.stop() == {"relay": 0, "training": 0}


def test_a_training_that_cannot_be_done_says_why_in_its_row(
    engine: Engine, fleet: Fleet, tmp_path: Path
) -> None:
    fleet.start("relay", "relay")
    fleet.start("training", "worker", "--queues", "training")
    fleet.run("train", "--queue", "--data", str(tmp_path / "nothing"), "--out", "model")
    assert _wait_for_run(engine, fleet) == ("failed", "bad_dataset", 1)
