"""A training that is killed goes on where it was, and tagging goes on beside it."""

import importlib.util
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, write_events
from dev.origin import Origin
from tests.faults.aftermath import Aftermath
from tests.marketplace import rows
from tests.settled import assert_quiet
from tests.waiting import wait_until
from tests.worker.training.shapes import write_shapes

_EPOCHS = 8
_SHAPES = 3000
#: For an epoch, and for all of them.
_PATIENCE_S = 240.0


def _run(engine: Engine) -> tuple[str, int, dict[str, Any]]:
    """Status, attempt and progress of the training."""
    [(status, attempt, progress)] = rows(
        engine, "SELECT status, attempt, coalesce(progress, '{}') FROM training_run"
    )
    return status, attempt, progress


def _tag(engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, name: str) -> float:
    """Publishes photos under listings of this name; returns how long it takes to tag them."""
    file = fleet.folder / f"{name}.jsonl"
    write_events(photos, origin.url, file)
    events = file.read_text()
    for kind in ("listing", "created"):
        events = events.replace(f'"{kind}-', f'"{name}-{kind}-')
    file.write_text(events)
    began = time.monotonic()
    assert fleet.run("produce", file.name).returncode == 0
    query = """SELECT count(*) FROM photo JOIN listing ON listing.id = listing_id
        WHERE status = 'tagged' AND external_id LIKE :name || '-%'"""
    wait_until(lambda: rows(engine, query, name=name) == [(len(photos),)], timeout_s=120)
    return time.monotonic() - began


@pytest.mark.row("F21")
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="needs the extra `train`"
)
def test_a_training_that_was_killed_goes_on_from_its_checkpoint_and_tagging_beside_it(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    write_shapes(tmp_path / "data", _SHAPES)
    fleet.environment["TAGGER_TRAINING_LEASE_S"] = "12"
    many = photos * 20
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    _tag(engine, fleet, photos, origin, "warm")
    alone_s = _tag(engine, fleet, many, origin, "alone")

    supervisor = fleet.start("training", "worker", "--queues", "training")
    asked = fleet.run(
        *("train", "--queue", "--recipe", "paper-vanilla", "--epochs", str(_EPOCHS)),
        *("--data", "data", "--out", "model"),
    )
    assert asked.returncode == 0, asked.stderr
    wait_until(lambda: "epoch" in _run(engine)[2], _PATIENCE_S)
    beside_s = _tag(engine, fleet, many, origin, "beside")
    status, attempt, progress = _run(engine)
    assert (status, attempt) == ("running", 1), "the training was over too soon to show anything"
    # A third of the pace, and a little for a machine that is busy with other things.
    assert beside_s < 3 * alone_s + 5

    done = progress["epoch"]
    assert done < _EPOCHS - 1
    wait_until(lambda: _run(engine)[2].get("epoch", 0) > done, _PATIENCE_S)
    _, _, progress = _run(engine)
    time.sleep(0.3 * _SHAPES / progress["photos_per_s"])
    [process] = psutil.Process(supervisor).children()
    process.kill()
    aftermath.fault_is_over()
    done = _run(engine)[2]["epoch"]
    assert done < _EPOCHS, "it was killed in the middle"
    epochs: set[int] = set()

    def over() -> bool:
        status, attempt, progress = _run(engine)
        if attempt == 2 and progress.get("stage") == "network" and "epoch" in progress:
            epochs.add(progress["epoch"])
        return status in ("succeeded", "failed")

    wait_until(over, _PATIENCE_S)
    assert _run(engine)[:2] == ("succeeded", 2)
    # What the first attempt showed last may still stand there.
    assert min(epochs) >= done > 1
    assert max(epochs) > done
    [(recipe,)] = rows(engine, "SELECT recipe FROM model WHERE status = 'candidate'")
    assert recipe["epochs_taken"] == _EPOCHS
    aftermath.check(len(photos) + 2 * len(many))
    # What the converter of models prints, nothing can be kept from the training worker's log.
    assert_quiet(fleet, "relay", "worker", allowed=("relay.swept",))
