"""A shadow model looks at its share of photos, and harms nothing."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from shared.settings import DEFAULT_MODEL, Settings
from tests.marketplace import claim_all, event, record, rows, settle, tagged
from worker.model.agreement import agreement
from worker.model.artifact import load
from worker.model.registry import decision_of, register
from worker.served import ServedModel, Shadow, serve
from worker.shadow import in_share, score


@pytest.fixture
def model(engine: Engine) -> ServedModel:
    artifact = load(DEFAULT_MODEL)
    with engine.begin() as connection:
        return serve(connection, register(connection, artifact), artifact)


def _pixels(model: ServedModel) -> NDArray[np.uint8]:
    return np.zeros((model.input_height, model.input_width, 3), np.uint8)


def _photos(engine: Engine, settings: Settings, count: int) -> list[int]:
    record(engine, settings, *(event(f"L{number}") for number in range(count)))
    return [row[0] for row in rows(engine, "SELECT id FROM photo ORDER BY id")]


def test_the_share_is_the_same_photos_each_time_and_about_as_many_as_asked() -> None:
    chosen = [photo for photo in range(10_000) if in_share(photo, 0.1)]
    assert chosen == [photo for photo in range(10_000) if in_share(photo, 0.1)]
    assert 900 < len(chosen) < 1100
    assert {*chosen} < {photo for photo in range(10_000) if in_share(photo, 0.2)}
    assert all(in_share(photo, 1.0) for photo in range(1000))


def test_its_scores_are_stored_beside_the_photo(
    engine: Engine, settings: Settings, model: ServedModel
) -> None:
    one, two = _photos(engine, settings, 2)
    score(engine, Shadow(model, 1), {one: _pixels(model), two: _pixels(model)})
    score(engine, Shadow(model, 1), {one: _pixels(model)})
    expected = model.tagger.scores(_pixels(model)[None])[0]
    stored = rows(engine, "SELECT photo_id, model_id, scores FROM shadow_score ORDER BY 1")
    assert [row[:2] for row in stored] == [(one, model.model_id), (two, model.model_id)]
    assert np.allclose([row[2] for row in stored], [expected, expected])
    assert rows(engine, "SELECT DISTINCT status, scores FROM photo") == [("pending", None)]


def test_a_photo_that_is_gone_or_going_is_passed_over(
    engine: Engine, settings: Settings, model: ServedModel
) -> None:
    one, two = _photos(engine, settings, 2)
    with engine.begin() as deleting:
        deleting.exec_driver_sql("DELETE FROM photo WHERE id = %s", (one,))
        score(
            engine,
            Shadow(model, 1),
            {photo: _pixels(model) for photo in (one, two, 10**9)},
        )
    assert rows(engine, "SELECT photo_id FROM shadow_score") == [(two,)]


def test_a_shadow_that_fails_raises_nothing(
    engine: Engine, settings: Settings, model: ServedModel
) -> None:
    [photo] = _photos(engine, settings, 1)
    score(engine, Shadow(model, 1), {photo: np.zeros((7, 7, 3), np.uint8)})
    unknown = replace(model, model_id=10**6)
    score(engine, Shadow(unknown, 1), {photo: _pixels(model)})
    assert rows(engine, "SELECT * FROM shadow_score") == []


def test_agreement_is_counted_by_the_tags_of_both(
    engine: Engine, settings: Settings, model: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.model.agreement._PAGE", 2)
    decision = decision_of(load(DEFAULT_MODEL))
    tags = len(decision.vocabulary)
    lower = replace(decision, thresholds=np.full(tags, 0.2, np.float32))
    photos = _photos(engine, settings, 5)
    score(engine, Shadow(model, 1), {photo: _pixels(model) for photo in photos})
    claims = claim_all(engine)
    for number, claim in enumerate(claims[:4]):
        scores = [0.9 if number == 0 else 0.0] + [0.0] * (tags - 1)
        settle(engine, tagged(claim, model.model_id, scores))
    own = decision.vocabulary[0]
    shadowed = {
        tag
        for tag, threshold, score in zip(
            decision.vocabulary,
            lower.thresholds,
            model.tagger.scores(_pixels(model)[None])[0],
            strict=True,
        )
        if score >= threshold
    }
    with engine.connect() as connection:
        found = agreement(connection, (model.model_id, decision), (model.model_id, lower))
    assert found["photos"] == 4
    expected = [{own} == shadowed, *[not shadowed] * 3]
    assert found["same_tags"] == sum(expected) / 4
    assert found["flips"].get(own, {}).get("only_served", 0) == (0 if own in shadowed else 1)
    for tag in shadowed - {own}:
        assert found["flips"][tag] == {"only_served": 0, "only_shadow": 4}


def test_two_models_that_share_no_photo_say_so(engine: Engine, model: ServedModel) -> None:
    decision = decision_of(load(DEFAULT_MODEL))
    with engine.connect() as connection:
        found = agreement(connection, (model.model_id, decision), (model.model_id, decision))
    assert found == {"photos": 0, "same_tags": None, "flips": {}}
