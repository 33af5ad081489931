"""A candidate becomes champion when it is no worse on the same held-out photos."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from shared.db import decisions
from shared.errors import ArtifactError, DatasetError, ModelUnknown, PromotionRefused
from shared.settings import DEFAULT_MODEL, Settings
from tests.marketplace import rows
from tests.worker.model.renamed import renamed
from tests.worker.training.shapes import row, write_rows, write_shapes
from worker.dataset.labelled import read_dataset
from worker.dataset.split import split
from worker.dataset.store import pixel_store
from worker.model.artifact import load
from worker.model.gate import refusal
from worker.model.overview import compared, listed
from worker.model.promote import Promoted, promote, rollback
from worker.model.registry import decision_of, register
from worker.model.rethreshold import changed, put_in_force
from worker.model.store import ModelStore
from worker.model.tagger import Tagger

_PHOTOS = 24


@pytest.fixture
def stored(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a store of this test's own."""
    return settings.model_copy(update={"model_store": tmp_path / "store"})


@pytest.fixture
def champion(engine: Engine, stored: Settings) -> str:
    """The shipped model serves."""
    return _registered(engine, stored, DEFAULT_MODEL)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Photos labelled with just what the shipped model finds on them."""
    folder = write_shapes(tmp_path / "data", _PHOTOS)
    artifact = load(DEFAULT_MODEL)
    size = artifact.manifest.input
    dataset, pixels = pixel_store(
        read_dataset(folder),
        None,
        height=size.height,
        width=size.width,
        max_photo_pixels=10_000,
        min_photo_elements=1,
    )
    found = Tagger(artifact).scores(pixels)
    # Thresholds in the middle, so that each tag is on some photos and not on others.
    middle = np.median(found, axis=0)
    lines = [
        row(photo.photo, product=photo.product)
        | {"tags": [tag for tag, on in zip(artifact.vocabulary, its > middle, strict=True) if on]}
        for photo, its in zip(dataset.photos, found, strict=True)
    ]
    write_rows(folder, lines)
    return folder


def _registered(engine: Engine, settings: Settings, folder: Path) -> str:
    kept = ModelStore(settings).keep(folder)
    with engine.begin() as connection:
        register(connection, kept.artifact, champion=True, kept=kept)
    return kept.artifact.version


def _candidate(engine: Engine, settings: Settings, folder: Path, **changes: Any) -> str:
    renamed(folder, **changes)
    return _registered(engine, settings, folder)


def _promote(
    engine: Engine, settings: Settings, version: str, *, force: bool = False, **how: Any
) -> Promoted | None:
    return promote(engine, settings, version, margin=0.005, force=force, **how)


def _champion(engine: Engine) -> str:
    return rows(engine, "SELECT version FROM model WHERE status = 'champion'")[0][0]


def _with_test(hamming: float | None, **recipe: Any) -> dict[str, Any]:
    """What a manifest says of a test with this score, of a training that differed in this."""
    provenance = load(DEFAULT_MODEL).manifest.provenance
    return {
        "metrics": {"test": {"overall": {"hamming": hamming, "map": 0.9}}},
        "provenance": provenance.model_copy(update={"recipe": provenance.recipe | recipe}),
    }


@pytest.mark.parametrize(
    ("candidate", "champion", "reason"),
    [
        ({"hamming": 0.7, "map": 0.6}, {"hamming": 0.7, "map": 0.6}, None),
        ({"hamming": 0.696, "map": 0.596}, {"hamming": 0.7, "map": 0.6}, None),
        ({"hamming": 0.694, "map": 0.9}, {"hamming": 0.7, "map": 0.6}, "hamming 0.6940"),
        ({"hamming": 0.9, "map": 0.594}, {"hamming": 0.7, "map": 0.6}, "map 0.5940"),
        ({"hamming": 0.7, "map": None}, {"hamming": 0.7, "map": None}, None),
        ({"hamming": 0.7, "map": None}, {"hamming": 0.7, "map": 0.6}, "its map is not known"),
    ],
)
def test_the_gate_opens_for_what_is_no_worse_by_more_than_the_margin(
    candidate: dict[str, Any], champion: dict[str, Any], reason: str | None
) -> None:
    said = refusal({"candidate": candidate, "champion": champion}, 0.005)
    assert (said is None) if reason is None else (said is not None and reason in said)


def test_a_candidate_that_is_no_worse_on_the_same_photos_is_promoted(
    engine: Engine, stored: Settings, champion: str, data: Path, tmp_path: Path
) -> None:
    second = _candidate(engine, stored, tmp_path / "second")
    done = _promote(engine, stored, second, data=data)
    assert done is not None
    assert (done.kind, done.previous) == ("gate", champion)
    assert done.gate["candidate"] == done.gate["champion"]
    assert done.gate["photos"] == _PHOTOS
    assert _champion(engine) == second
    [(kind, gate)] = rows(engine, "SELECT kind, gate FROM promotion WHERE previous_id IS NOT NULL")
    assert (kind, gate) == ("gate", json.loads(json.dumps(done.gate)))
    assert _promote(engine, stored, second) is None, "it is the champion already"


def test_a_candidate_that_is_worse_is_refused_unless_forced(
    engine: Engine, stored: Settings, champion: str, data: Path, tmp_path: Path
) -> None:
    middle = dict.fromkeys(load(DEFAULT_MODEL).vocabulary, 0.02)
    with engine.connect() as connection:
        [row_] = decisions.of_model(connection, 1)
    put_in_force(engine, 1, changed(row_.decision, thresholds=middle), reason="test")
    second = _candidate(engine, stored, tmp_path / "second", threshold=1.0)
    with pytest.raises(PromotionRefused, match="hamming"):
        _promote(engine, stored, second, data=data)
    assert _champion(engine) == champion
    done = _promote(engine, stored, second, data=data, force=True)
    assert done is not None
    assert done.kind == "forced"
    assert "hamming" in done.gate["refusal"]
    assert done.gate["candidate"]["hamming"] < done.gate["champion"]["hamming"]


@pytest.mark.usefixtures("champion")
def test_photos_that_one_of_them_was_trained_on_do_not_count(
    engine: Engine, stored: Settings, data: Path, tmp_path: Path
) -> None:
    recipe = {"seed": 7, "split": "product"}
    provenance = load(DEFAULT_MODEL).manifest.provenance.model_copy(
        update={"dataset_sha256": read_dataset(data).sha256, "recipe": recipe}
    )
    second = _candidate(engine, stored, tmp_path / "second", provenance=provenance)
    done = _promote(engine, stored, second, data=data)
    assert done is not None
    assert done.gate["photos"] == split(read_dataset(data).photos, 7).count("test") < _PHOTOS
    assert done.gate["held_out"]


@pytest.mark.usefixtures("champion")
def test_a_model_that_does_not_say_how_it_was_split_may_have_seen_every_photo(
    engine: Engine, stored: Settings, data: Path, tmp_path: Path
) -> None:
    provenance = load(DEFAULT_MODEL).manifest.provenance.model_copy(
        update={"dataset_sha256": read_dataset(data).sha256, "recipe": {"seed": 7}}
    )
    second = _candidate(engine, stored, tmp_path / "second", provenance=provenance)
    with pytest.raises(DatasetError, match="no held-out photo"):
        _promote(engine, stored, second, data=data)


@pytest.mark.usefixtures("champion")
def test_recorded_tests_are_compared_where_they_can_be(
    engine: Engine, stored: Settings, tmp_path: Path
) -> None:
    bad: list[tuple[float | None, dict[str, Any], str]] = [
        (0.1, {}, "hamming 0.1000"),
        (0.9, {"seed": 5}, "another seed"),
        (0.9, {"left_out_sets": ["cameras"]}, "another left_out_sets"),
        (None, {}, "no record"),
    ]
    for number, (hamming, recipe, complaint) in enumerate(bad):
        folder = tmp_path / str(number)
        version = _candidate(
            engine, stored, folder, name=f"bad{number}", **_with_test(hamming, **recipe)
        )
        with pytest.raises(PromotionRefused, match=complaint):
            _promote(engine, stored, version)
    shipped = load(DEFAULT_MODEL).manifest.metrics["test"]
    good = _candidate(
        engine,
        stored,
        tmp_path / "good",
        metrics={"test": shipped},
    )
    done = _promote(engine, stored, good)
    assert done is not None
    assert done.gate["recorded"]
    assert done.gate["candidate"]["map"] is not None


def test_recorded_tests_say_nothing_of_other_thresholds(
    engine: Engine, stored: Settings, champion: str, tmp_path: Path
) -> None:
    second = _candidate(engine, stored, tmp_path / "second")
    decision = decision_of(load(DEFAULT_MODEL))
    put_in_force(engine, 1, changed(decision, thresholds=0.9), reason="test")
    with pytest.raises(PromotionRefused, match="other thresholds"):
        _promote(engine, stored, second)
    done = _promote(engine, stored, second, force=True)
    assert done is not None
    assert "other thresholds" in done.gate["not_compared"]
    assert rollback(engine, stored).version == champion


def test_what_cannot_be_loaded_is_not_promoted_even_by_force(
    engine: Engine, stored: Settings, champion: str, tmp_path: Path
) -> None:
    with engine.begin() as connection:
        register(connection, renamed(tmp_path / "nowhere", "nowhere"))
    with pytest.raises(ArtifactError, match="tagger model add"):
        _promote(engine, stored, "nowhere-" + champion.rpartition("-")[2], force=True)
    no_model = _candidate(engine, stored, tmp_path / "bad", name="bad", model=b"no model at all")
    with pytest.raises(ArtifactError, match="LiteRT"):
        _promote(engine, stored, no_model, force=True)
    with pytest.raises(ModelUnknown, match="nothing-0"):
        _promote(engine, stored, "nothing-0")
    assert _champion(engine) == champion


@pytest.mark.usefixtures("champion")
def test_a_rollback_to_a_champion_that_is_gone_is_refused(
    engine: Engine, stored: Settings, tmp_path: Path
) -> None:
    second = _candidate(engine, stored, tmp_path / "second")
    with pytest.raises(PromotionRefused, match="no champion before"):
        rollback(engine, stored)
    _promote(engine, stored, second, force=True)
    with engine.begin() as connection:
        connection.execute(text("UPDATE model SET location = '/nowhere', manifest_sha256 = 'x'"))
    with pytest.raises(ArtifactError):
        rollback(engine, stored)
    assert _champion(engine) == second


@pytest.mark.usefixtures("champion")
def test_a_data_set_without_a_known_tag_is_refused(
    engine: Engine, stored: Settings, tmp_path: Path
) -> None:
    second = _candidate(engine, stored, tmp_path / "second")
    with pytest.raises(DatasetError, match="no tag that both"):
        _promote(engine, stored, second, data=write_shapes(tmp_path / "shapes", 6))


def test_models_are_listed_and_compared_by_what_is_stored(
    engine: Engine, stored: Settings, champion: str, tmp_path: Path
) -> None:
    second = _candidate(engine, stored, tmp_path / "second", threshold=0.3)
    with engine.connect() as connection:
        one, two = listed(connection)
        found = compared(connection, champion, second)
        with pytest.raises(ModelUnknown):
            compared(connection, champion, "nothing-0")
    assert (one["version"], one["status"], one["serving_since"]) == (second, "candidate", None)
    assert (two["version"], two["status"], two["decision"]) == (champion, "champion", 1)
    assert two["serving_since"]
    assert two["hamming"] is not None
    assert [its["version"] for its in found["models"]] == [champion, second]
    assert {its["threshold"] for its in found["models"][1]["tags"].values()} == {0.3}
    assert found["comparable"]
    assert [its["photos"] for its in found["agreement"]] == [0, 0]


@pytest.mark.parametrize(
    "metrics",
    [{"test": "fine"}, {"test": {"overall": [1], "by_tag": 7}}, {"test": {"hamming": "0.9"}}],
)
def test_odd_measures_of_one_model_hide_none_and_open_no_gate(
    engine: Engine, stored: Settings, champion: str, tmp_path: Path, metrics: dict[str, Any]
) -> None:
    odd = _candidate(engine, stored, tmp_path / "odd", metrics=metrics)
    with engine.connect() as connection:
        assert next(row["hamming"] for row in listed(connection)) is None
        [_, its] = compared(connection, champion, odd)["models"]
    assert {tag["f1"] for tag in its["tags"].values()} == {None}
    with pytest.raises(PromotionRefused, match="no record of its test"):
        _promote(engine, stored, odd)


@pytest.mark.usefixtures("champion")
def test_a_model_with_an_odd_recipe_may_have_seen_any_photo(
    engine: Engine, stored: Settings, data: Path, tmp_path: Path
) -> None:
    provenance = load(DEFAULT_MODEL).manifest.provenance
    odd = provenance.model_copy(
        update={
            "dataset_sha256": read_dataset(data).sha256,
            "recipe": provenance.recipe | {"seed": "abc", "left_out_sets": 5},
        }
    )
    second = _candidate(engine, stored, tmp_path / "second", provenance=odd)
    with pytest.raises(DatasetError, match="no held-out photo"):
        _promote(engine, stored, second, data=data)


def test_the_list_tells_why_a_model_serves_and_where_a_rollback_leads(
    engine: Engine, stored: Settings, champion: str, tmp_path: Path
) -> None:
    second = _candidate(engine, stored, tmp_path / "second")
    _promote(engine, stored, second, force=True)
    with engine.connect() as connection:
        found = {row["version"]: row for row in listed(connection)}
    assert (found[second]["serving_by"], found[second]["rollback_here"]) == ("forced", False)
    assert (found[champion]["serving_by"], found[champion]["rollback_here"]) == (None, True)
    rollback(engine, stored)
    with engine.connect() as connection:
        found = {row["version"]: row for row in listed(connection)}
    assert found[champion]["serving_by"] == "rollback"
    assert not any(row["rollback_here"] for row in found.values())
