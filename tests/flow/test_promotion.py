"""Models change under running workers: promoted, taken back, refused, shadowed, rethresholded."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, events, write_events
from dev.origin import Origin
from shared.db import models, promotions
from shared.settings import DEFAULT_MODEL
from tests.marketplace import rows
from tests.settled import assert_settled, publish, wait_until_settled
from tests.waiting import wait_until
from tests.worker.model.renamed import renamed

_SWAP_S = 10.0
#: What each photo's tags must be: those whose stored score reaches the threshold in force.
_UNDECIDED = """
    SELECT photo.id FROM photo JOIN decision ON decision.model_id = photo.model_id AND active
    WHERE status = 'tagged' AND (
        decision_id IS DISTINCT FROM decision.id
        OR ARRAY(
            SELECT name FROM photo_tag JOIN tag ON tag.id = tag_id
            WHERE photo_id = photo.id ORDER BY name COLLATE "C"
        ) <> ARRAY(
            SELECT content -> 'vocabulary' ->> (n - 1)::int
            FROM unnest(scores) WITH ORDINALITY AS every(score, n)
            WHERE score >= (content -> 'thresholds' ->> (n - 1)::int)::real
            ORDER BY (content -> 'vocabulary' ->> (n - 1)::int) COLLATE "C"))
"""


@pytest.fixture
def second(fleet: Fleet, tmp_path: Path) -> str:
    """The version of a registered candidate."""
    renamed(tmp_path / "second", threshold=0.3)
    added = _model(fleet, "add", "second")
    assert added["status"] == "candidate"
    return added["version"]


def _model(fleet: Fleet, *arguments: str) -> Any:
    done = fleet.run("model", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _start(fleet: Fleet) -> None:
    fleet.environment["TAGGER_BATCH_PHOTOS"] = "8"
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")


def _events(fleet: Fleet, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in fleet.log("worker").splitlines()]
    return [line for line in lines if line["event"] == name]


class _Flow:
    """Listings without end, each of one photo."""

    def __init__(self, fleet: Fleet, photos: list[PhotoFile], origin: Origin) -> None:
        self._fleet = fleet
        self._lines = [json.dumps(line).encode() for line in events(photos * 20, origin.url)]
        self._published = 0

    def more(self, count: int) -> int:
        """Publishes so many more; returns how many that makes."""
        lines = self._lines[self._published : self._published + count]
        assert self._fleet.run("produce", "-", stdin=b"\n".join(lines)).returncode == 0
        self._published += len(lines)
        return self._published


def _by_version(engine: Engine) -> dict[str, int]:
    found = rows(
        engine, "SELECT version, count(*) FROM photo JOIN model ON model.id = model_id GROUP BY 1"
    )
    return {row[0]: row[1] for row in found}


def _all_say(fleet: Fleet, name: str, version: str | None = None) -> bool:
    """Whether all processes for new photos said so; those for back catalogues stand back."""
    said = {e["process"] for e in _events(fleet, name) if version in (None, e["version"])}
    return said >= {"tagging-1", "slow-1"}


def _all_serve(fleet: Fleet, version: str) -> bool:
    return _all_say(fleet, "model.serving", version)


def test_a_model_promoted_and_taken_back_while_photos_flow_loses_no_photo(
    engine: Engine,
    fleet: Fleet,
    photos: list[PhotoFile],
    origin: Origin,
    second: str,
) -> None:
    _start(fleet)
    flow = _Flow(fleet, photos, origin)
    flow.more(100)
    wait_until(lambda: len(_by_version(engine)) == 1)
    [first] = _by_version(engine)
    flow.more(100)
    done = _model(fleet, "promote", second, "--force")
    assert (done["kind"], done["previous"]) == ("forced", first)
    wait_until(lambda: _all_serve(fleet, second), _SWAP_S)
    flow.more(100)
    wait_until(lambda: len(_by_version(engine)) == 2)
    assert _model(fleet, "rollback")["version"] == first
    wait_until(lambda: _all_serve(fleet, first), _SWAP_S)
    total = flow.more(20)
    wait_until_settled(engine, total)
    assert_settled(engine, total)
    assert _by_version(engine).keys() == {first, second}
    assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'failed'") == [(0,)]
    assert rows(engine, _UNDECIDED) == []
    # The tags of a photo and of a listing name the version that scored it, too.
    assert (
        rows(
            engine,
            """SELECT photo.id FROM photo JOIN photo_tag ON photo_id = photo.id
            WHERE photo_tag.model_id <> photo.model_id""",
        )
        == []
    )
    assert rows(engine, "SELECT kind FROM promotion ORDER BY id") == [
        ("first",),
        ("forced",),
        ("rollback",),
    ]
    assert fleet.run("model", "rollback").returncode == 1, "there was none before the first"
    assert fleet.stop() == {"relay": 0, "worker": 0}


def test_a_champion_whose_artifact_is_damaged_is_refused_and_the_old_one_goes_on(
    engine: Engine,
    fleet: Fleet,
    photos: list[PhotoFile],
    origin: Origin,
    second: str,
    tmp_path: Path,
) -> None:
    _start(fleet)
    wait_until(lambda: _all_say(fleet, "model.loaded"))
    [first] = {event["version"] for event in _events(fleet, "model.loaded")}
    with engine.connect() as connection:
        row = models.find(connection, second)
    with (Path(row.location) / "model.tflite").open("r+b") as file:
        file.write(b"damaged")
    assert fleet.run("model", "promote", second, "--force").returncode == 1
    assert rows(engine, "SELECT version FROM model WHERE status = 'champion'") == [(first,)]
    with engine.begin() as connection:  # as if it had been damaged afterwards
        promotions.promote(connection, row.id, kind="forced", gate={})
    wait_until(lambda: _all_say(fleet, "model.refused"))
    assert publish(fleet, photos[:3], origin, tmp_path, copies=1) == 3
    wait_until_settled(engine, 3)
    assert _by_version(engine) == {first: 3}
    # One that starts now has never seen another champion: it serves what ships.
    fleet.stop("worker")
    fleet.start("worker", "worker", "--processes", "1")
    write_events(photos[:6], origin.url, tmp_path / "events.jsonl")
    fleet.run("produce", str(tmp_path / "events.jsonl"))
    wait_until_settled(engine, 6)
    assert _by_version(engine) == {first: 6}
    # Adding it again repairs the store, and workers find it by themselves.
    renamed(tmp_path / "second", threshold=0.3)
    assert _model(fleet, "add", "second")["version"] == second
    wait_until(lambda: _all_serve(fleet, second), timeout_s=45)


def test_a_shadow_scores_its_share_and_changes_no_tag(
    engine: Engine,
    fleet: Fleet,
    photos: list[PhotoFile],
    origin: Origin,
    second: str,
    tmp_path: Path,
) -> None:
    assert fleet.run("model", "shadow", second, "--share", "0.5").returncode == 0
    _start(fleet)
    total = publish(fleet, photos, origin, tmp_path, copies=4)
    wait_until_settled(engine, total)
    assert fleet.stop("worker") == {"worker": 0}
    assert_settled(engine, total)
    [first] = _by_version(engine)
    assert first != second
    [(shadowed,)] = rows(
        engine,
        "SELECT count(*) FROM shadow_score JOIN model ON model.id = model_id WHERE version = :v",
        v=second,
    )
    assert 0.25 * total < shadowed < 0.75 * total
    assert rows(
        engine,
        "SELECT count(*) FROM photo_tag JOIN model ON model.id = model_id WHERE version = :v",
        v=second,
    ) == [(0,)]
    found = _model(fleet, "diff", first, second)
    [its] = [pair for pair in found["agreement"] if pair["shadow"] == second]
    assert its["photos"] == shadowed
    # The same weights by a lower threshold: tags are only ever added.
    assert all(flips["only_served"] == 0 for flips in its["flips"].values())
    assert 0 < its["same_tags"] < 1


def test_new_thresholds_reach_every_photo_while_photos_flow(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin
) -> None:
    _start(fleet)
    flow = _Flow(fleet, photos, origin)
    wait_until_settled(engine, flow.more(100))
    total = flow.more(300)
    done = fleet.run("rethreshold", "--thresholds", "0.2", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["decision"] == 2
    assert found["photos"] >= 100
    assert found["photos_changed"] > 0
    wait_until_settled(engine, total)
    assert_settled(engine, total)
    assert rows(engine, _UNDECIDED) == []
    again = json.loads(fleet.run("rethreshold", "--json").stdout)
    assert (again["decision"], again["photos"], again["listings_changed"]) == (2, 0, 0)


def test_a_worker_starts_with_the_champion_unless_it_is_pinned_to_a_model(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, second: str
) -> None:
    assert _model(fleet, "promote", second)["kind"] == "first"
    _start(fleet)
    flow = _Flow(fleet, photos, origin)
    wait_until_settled(engine, flow.more(5))
    assert _by_version(engine) == {second: 5}
    [shipped] = {event["version"] for event in _events(fleet, "model.candidate")}
    assert rows(engine, "SELECT version, status FROM model ORDER BY id") == [
        (second, "champion"),
        (shipped, "candidate"),
    ]
    fleet.stop("worker")
    fleet.environment["TAGGER_MODEL_DIR"] = str(DEFAULT_MODEL)
    fleet.start("worker", "worker", "--processes", "1")
    wait_until_settled(engine, flow.more(5))
    assert _by_version(engine) == {second: 5, shipped: 5}
    assert rows(engine, "SELECT version FROM model WHERE status = 'champion'") == [(second,)]
