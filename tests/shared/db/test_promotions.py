"""One champion at a time, and a way back."""

import threading

from sqlalchemy import Engine, text

from shared.db import models, promotions
from tests.marketplace import DECISION, register, rows


def _models(engine: Engine, *versions: str) -> list[int]:
    with engine.begin() as connection:
        return [register(connection, DECISION, version) for version in versions]


def _promote(engine: Engine, model_id: int, kind: promotions.Kind = "gate") -> int | None:
    with engine.begin() as connection:
        return promotions.promote(connection, model_id, kind=kind, gate={"hamming": 0.5})


def _before(engine: Engine, model_id: int) -> int | None:
    with engine.connect() as connection:
        return promotions.before(connection, model_id)


def test_a_promotion_retires_the_champion_and_is_written_down(engine: Engine) -> None:
    one, two = _models(engine, "m-1", "m-2")
    assert _promote(engine, one, "first") is None
    assert _promote(engine, two) == one
    assert _promote(engine, two) == two, "it is the champion already"
    assert rows(engine, "SELECT status FROM model ORDER BY id") == [("retired",), ("champion",)]
    assert rows(engine, "SELECT model_id, previous_id, kind, gate FROM promotion ORDER BY id") == [
        (one, None, "first", {"hamming": 0.5}),
        (two, one, "gate", {"hamming": 0.5}),
    ]


def test_going_back_twice_goes_back_two_promotions(engine: Engine) -> None:
    one, two, three = _models(engine, "m-1", "m-2", "m-3")
    for model_id in (one, two, three):
        _promote(engine, model_id)
    assert _before(engine, three) == two
    _promote(engine, two, "rollback")
    assert _before(engine, two) == one
    _promote(engine, one, "rollback")
    assert _before(engine, one) is None


def test_of_models_that_start_together_one_becomes_champion(engine: Engine) -> None:
    ids = _models(engine, *(f"m-{number}" for number in range(6)))
    done: list[bool] = []

    def start(model_id: int) -> None:
        with engine.begin() as connection:
            done.append(promotions.promote_first(connection, model_id))

    threads = [threading.Thread(target=start, args=[model_id]) for model_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False] * 5 + [True]
    assert rows(engine, "SELECT count(*) FROM model WHERE status = 'champion'") == [(1,)]


def test_a_champion_that_a_worker_of_before_made_is_followed(engine: Engine) -> None:
    one, two = _models(engine, "m-1", "m-2")
    with engine.begin() as connection:
        connection.execute(text("UPDATE model SET status = 'champion' WHERE id = :id"), {"id": one})
    assert _promote(engine, two) == one


def test_going_back_ends_at_the_first_also_where_a_model_was_promoted_twice(engine: Engine) -> None:
    one, two = _models(engine, "m-1", "m-2")
    for model_id in (one, two, one):
        _promote(engine, model_id)
    assert _before(engine, one) == two
    _promote(engine, two, "rollback")
    assert _before(engine, two) == one
    _promote(engine, one, "rollback")
    assert _before(engine, one) is None, "it was the first"
    _promote(engine, two)
    assert _before(engine, two) == one, "a way back opens again"
    assert _before(engine, one) is None, "it does not serve"


def test_a_champion_that_was_cast_as_shadow_meanwhile_does_not_retire_into_one(
    engine: Engine,
) -> None:
    one, two = _models(engine, "m-1", "m-2")
    _promote(engine, one)
    with engine.begin() as connection:
        models.cast_shadow(connection, one, 0.5)
    _promote(engine, two)
    assert rows(engine, "SELECT shadow_share FROM model ORDER BY id") == [(None,), (None,)]
