"""A process follows the database's champion and shadow, and outlives what is wrong with them."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine, text

from shared.db import models, promotions
from shared.db.session import make_engine
from shared.settings import DEFAULT_MODEL, Settings
from tests.marketplace import rows
from tests.worker.model.renamed import renamed
from worker.model.registry import register
from worker.model.store import ModelStore
from worker.served import Lineup, ServedModel, serve


@pytest.fixture
def store(settings: Settings, tmp_path: Path) -> ModelStore:
    return ModelStore(settings.model_copy(update={"model_store": tmp_path / "store"}))


@pytest.fixture
def first(engine: Engine, store: ModelStore) -> ServedModel:
    """The shipped model, the champion."""
    return _registered(engine, store, DEFAULT_MODEL, champion=True)


@pytest.fixture
def second(engine: Engine, store: ModelStore, first: ServedModel, tmp_path: Path) -> ServedModel:
    """A candidate."""
    renamed(tmp_path / "second")
    found = _registered(engine, store, tmp_path / "second", champion=True)
    assert found.model_id != first.model_id
    return found


def _registered(
    engine: Engine, store: ModelStore, folder: Path, *, champion: bool = False
) -> ServedModel:
    kept = store.keep(folder)
    with engine.begin() as connection:
        model_id = register(connection, kept.artifact, champion=champion, kept=kept)
        return serve(connection, model_id, kept.artifact)


def _promote(engine: Engine, model: ServedModel) -> None:
    with engine.begin() as connection:
        promotions.promote(connection, model.model_id, kind="forced", gate={})


def _shadow(engine: Engine, model: ServedModel | None, share: float = 0.5) -> None:
    with engine.begin() as connection:
        models.cast_shadow(connection, model.model_id if model else None, share)


def test_only_the_first_model_that_is_registered_becomes_champion_by_itself(
    engine: Engine, first: ServedModel, second: ServedModel
) -> None:
    assert rows(engine, "SELECT version, status FROM model ORDER BY id") == [
        (first.version, "champion"),
        (second.version, "candidate"),
    ]


def test_a_promoted_model_serves_after_the_next_look(
    engine: Engine, store: ModelStore, first: ServedModel, second: ServedModel
) -> None:
    lineup = Lineup(engine, store, first)
    lineup.look()
    assert lineup.now.model is first
    _promote(engine, second)
    held = lineup.now
    lineup.look()
    assert lineup.now.model.version == second.version
    assert held.model is first, "a batch keeps what it started with"
    _promote(engine, first)
    lineup.look()
    assert lineup.now.model.model_id == first.model_id


def test_a_pinned_process_serves_its_own_model(
    engine: Engine, store: ModelStore, first: ServedModel, second: ServedModel
) -> None:
    lineup = Lineup(engine, store, first, pinned=True)
    _promote(engine, second)
    lineup.look()
    assert lineup.now.model is first


def test_a_model_that_no_longer_serves_leaves_the_memory(
    engine: Engine, store: ModelStore, first: ServedModel, second: ServedModel
) -> None:
    lineup = Lineup(engine, store, replace(first))
    gone = weakref.ref(lineup.now.model)
    _promote(engine, second)
    lineup.look()
    gc.collect()
    assert gone() is None
    process = psutil.Process()
    before = 0
    for number in range(24):
        _promote(engine, first if number % 2 else second)
        lineup.look()
        if number == 3:
            before = process.memory_info().rss
    grown = process.memory_info().rss - before
    assert grown < 8 << 20, f"20 changes of the model took {grown} bytes"


def test_a_damaged_champion_is_refused_until_it_is_mended(
    engine: Engine,
    store: ModelStore,
    first: ServedModel,
    second: ServedModel,
    tmp_path: Path,
) -> None:
    [(location,)] = rows(engine, "SELECT location FROM model WHERE version = :v", v=second.version)
    (Path(location) / "related.json").write_text("{}")
    lineup = Lineup(engine, store, first)
    _promote(engine, second)
    lineup.look()
    assert lineup.now.model is first
    renamed(tmp_path / "mended", threshold=0.3)
    kept = store.keep(tmp_path / "mended")
    with engine.begin() as connection:
        models.relocate(
            connection,
            second.model_id,
            location=kept.location,
            manifest_sha256=kept.manifest_sha256,
        )
    lineup.look()
    assert lineup.now.model.version == second.version


def test_a_champion_that_lies_nowhere_is_refused(
    engine: Engine, store: ModelStore, first: ServedModel, second: ServedModel
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE model SET location = NULL"))
    lineup = Lineup(engine, store, first)
    _promote(engine, second)
    lineup.look()
    assert lineup.now.model is first


def test_a_shadow_comes_changes_its_share_and_goes(
    engine: Engine, store: ModelStore, first: ServedModel, second: ServedModel
) -> None:
    lineup = Lineup(engine, store, first)
    _shadow(engine, second)
    lineup.look()
    assert lineup.now.shadow is not None
    loaded = lineup.now.shadow.model
    assert (loaded.version, lineup.now.shadow.share) == (second.version, 0.5)
    _shadow(engine, second, 0.25)
    lineup.look()
    assert lineup.now.shadow is not None
    assert lineup.now.shadow.share == 0.25
    assert lineup.now.shadow.model is loaded, "it is not loaded again"
    _promote(engine, second)
    lineup.look()
    assert (lineup.now.model.version, lineup.now.shadow) == (second.version, None)
    _shadow(engine, first)
    _shadow(engine, None)
    lineup.look()
    assert lineup.now.shadow is None


def test_a_process_that_does_not_reach_postgres_goes_on(
    engine: Engine, settings: Settings, store: ModelStore, first: ServedModel, second: ServedModel
) -> None:
    nowhere = settings.model_copy(
        update={"database_url": type(settings.database_url)("postgresql://127.0.0.1:1/none")}
    )
    lineup = Lineup(make_engine(nowhere, role="test"), store, first)
    _promote(engine, second)
    lineup.look()
    assert lineup.now.model is first
