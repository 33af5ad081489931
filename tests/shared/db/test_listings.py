"""A listing's tags follow its photos, also across models."""

import numpy as np
from sqlalchemy import Engine

from shared.domain.decision import Decision
from shared.settings import Settings
from tests.marketplace import DECISION, claim_all, event, record, register, rows, settle, tagged

_TAGS = """
    SELECT tag.name, round(score::numeric, 3)::float, rank, model.version
    FROM {table} JOIN tag ON tag.id = tag_id JOIN model ON model.id = model_id ORDER BY rank
"""


def test_tags_are_fused_over_the_photos(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event(photos=["a", "b", "c"]))
    with engine.begin() as connection:
        model_id = register(connection)
    one, two, three = claim_all(engine)
    settle(
        engine,
        tagged(one, model_id, [0.9, 0.0]),
        tagged(two, model_id, [0.8, 0.0]),
        tagged(three, model_id, [0.1, 0.9]),
    )
    assert rows(engine, _TAGS.format(table="listing_tag")) == [("camera", 0.6, 1, "m-1")]
    assert rows(engine, _TAGS.format(table="related_tag")) == [("tripod", 0.6, 1, "m-1")]


def test_photos_that_an_earlier_model_scored_still_count(
    engine: Engine, settings: Settings
) -> None:
    newer = Decision(
        ("drone", "camera"), np.array([0.5, 0.5], np.float32), related=DECISION.related
    )
    record(engine, settings, event(photos=["a", "b"]))
    with engine.begin() as connection:
        old, new = register(connection), register(connection, newer, "m-2")
    one, two = claim_all(engine)
    settle(engine, tagged(one, old, [1.0, 1.0]), tagged(two, new, [0.2, 0.6]))
    assert rows(engine, _TAGS.format(table="listing_tag")) == [("camera", 0.8, 1, "m-2")]


def test_the_decision_survives_the_database(engine: Engine) -> None:
    with engine.begin() as connection:
        register(connection)
    [(stored,)] = rows(engine, "SELECT decision FROM model")
    assert Decision.from_json(stored).to_json() == DECISION.to_json()


def test_registering_a_model_again_changes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        first = register(connection)
        assert register(connection) == first
    assert rows(engine, "SELECT name FROM tag ORDER BY name") == [
        ("cable",),
        ("camera",),
        ("tripod",),
    ]
