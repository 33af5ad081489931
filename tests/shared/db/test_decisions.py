"""A model's decisions are numbered, one is in force, and a new one finds all the old one did."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine, text

from shared.db import decisions, redecide
from shared.db.decisions import Decisions
from shared.db.redecide import Redecided
from shared.domain.decision import Decision
from shared.domain.related import RelatedTags
from shared.errors import ArtifactError, DecisionError
from shared.settings import Settings
from tests.marketplace import DECISION, claim_all, event, record, register, rows, settle, tagged

_LOWER = replace(DECISION, thresholds=np.array([0.2, 0.5], np.float32))
_LISTINGS = """
    SELECT external_id, tag.name FROM {table} JOIN tag ON tag.id = tag_id
    JOIN listing ON listing.id = listing_id ORDER BY external_id, rank
"""
_LAST = """
    SELECT external_id, jsonb_path_query_array(document, '$.tags[*].tag'),
        jsonb_path_query_array(document, '$.related_tags[*].tag')
    FROM listing JOIN search_feed ON search_feed.listing_id = external_id
        AND search_feed.doc_version = listing.doc_version ORDER BY 1
"""


def _put_in_force(engine: Engine, model_id: int, decision: Decision) -> decisions.DecisionRow:
    with engine.begin() as connection:
        row = decisions.add(connection, model_id, decision, reason="test")
        decisions.activate(connection, row)
    return row


def _sweep(engine: Engine, model_id: int) -> Redecided:
    with engine.begin() as connection:
        ids = redecide.next_listings(connection, after=0, limit=100)
        return redecide.redecide(connection, ids, model_id, Decisions())


def _count(engine: Engine, model_id: int, trial: Decision) -> Redecided:
    with engine.begin() as connection:
        ids = redecide.next_listings(connection, after=0, limit=100)
        return redecide.count(connection, ids, model_id, trial)


def _two_listings(engine: Engine, settings: Settings) -> int:
    """One whose camera is just below its threshold, one that is far from any."""
    with engine.begin() as connection:
        model_id = register(connection)
    record(engine, settings, event("near"), event("far"))
    near, far = sorted(claim_all(engine), key=lambda claim: "far" in claim.url)
    settle(engine, tagged(near, model_id, [0.4, 0.1]), tagged(far, model_id, [0.1, 0.9]))
    return model_id


def test_the_first_decision_is_in_force_and_a_second_one_waits(engine: Engine) -> None:
    with engine.begin() as connection:
        model_id = register(connection)
        assert register(connection, _LOWER) == model_id
        assert register(connection, _LOWER) == model_id
        [first, second] = decisions.of_model(connection, model_id)
        assert (first.number, first.active) == (1, True)
        assert (second.number, second.active) == (2, False)
        active = Decisions().active(connection, [model_id])[model_id]
    assert active.id == first.id
    assert active.decision.to_json() == DECISION.to_json()


def test_a_decision_for_other_tags_is_refused(engine: Engine) -> None:
    other = replace(DECISION, vocabulary=("camera", "drone"))
    with engine.begin() as connection:
        model_id = register(connection)
        with pytest.raises(DecisionError, match="vocabulary"):
            decisions.add(connection, model_id, other, reason="test")
        with pytest.raises(ArtifactError, match="m-1 is known with other tags"):
            register(connection, other)


def test_the_decision_that_is_put_in_force_is_the_only_one_and_seen_at_once(
    engine: Engine,
) -> None:
    with engine.begin() as connection:
        model_id = register(connection)
    known = Decisions()
    with engine.begin() as connection:
        known.active(connection, [model_id])
    for decision, number in ((_LOWER, 2), (DECISION, 1), (_LOWER, 2)):
        assert _put_in_force(engine, model_id, decision).number == number
        with engine.begin() as connection:
            active = known.active(connection, [model_id])[model_id]
        assert active.decision.to_json() == decision.to_json()
        assert rows(engine, "SELECT number FROM decision WHERE active") == [(number,)]


def test_a_model_that_a_worker_of_before_registered_has_its_own_decision(engine: Engine) -> None:
    with engine.begin() as connection:
        model_id = register(connection)
        connection.execute(text("DELETE FROM decision"))
    with engine.begin() as connection:
        active = Decisions().active(connection, [model_id])[model_id]
    assert (active.id, active.decision.to_json()) == (None, DECISION.to_json())
    assert _put_in_force(engine, model_id, _LOWER).number == 2


def test_another_decision_waits_for_those_who_hold_the_old_one(engine: Engine) -> None:
    with engine.begin() as connection:
        model_id = register(connection)
    activated = threading.Event()

    def activate() -> None:
        _put_in_force(engine, model_id, _LOWER)
        activated.set()

    thread = threading.Thread(target=activate)
    with engine.begin() as connection:
        before = Decisions().active(connection, [model_id])[model_id]
        thread.start()
        assert not activated.wait(0.5)
        assert Decisions().active(connection, [model_id])[model_id].id == before.id
    thread.join()
    assert activated.is_set()


def test_stored_scores_become_tags_again_in_photos_listings_and_feed(
    engine: Engine, settings: Settings
) -> None:
    model_id = _two_listings(engine, settings)
    assert rows(engine, _LISTINGS.format(table="listing_tag")) == [("far", "cable")]
    _put_in_force(engine, model_id, _LOWER)
    assert _sweep(engine, model_id) == Redecided(photos=2, photos_changed=2, listings_changed=1)
    assert rows(engine, _LISTINGS.format(table="listing_tag")) == [
        ("far", "cable"),
        ("near", "camera"),
    ]
    assert rows(engine, _LISTINGS.format(table="related_tag")) == [("near", "tripod")]
    assert rows(engine, _LAST) == [("far", ["cable"], []), ("near", ["camera"], ["tripod"])]
    assert rows(
        engine,
        "SELECT url, name FROM photo_tag JOIN photo ON photo.id = photo_id "
        "JOIN tag ON tag.id = tag_id ORDER BY 1",
    ) == [("http://origin.test/far/0.jpg", "cable"), ("http://origin.test/near/0.jpg", "camera")]
    assert rows(
        engine, "SELECT DISTINCT number FROM photo JOIN decision ON decision.id = decision_id"
    ) == [(2,)]


def test_deciding_again_twice_changes_and_publishes_nothing(
    engine: Engine, settings: Settings
) -> None:
    model_id = _two_listings(engine, settings)
    _put_in_force(engine, model_id, _LOWER)
    _sweep(engine, model_id)
    feed = rows(engine, "SELECT * FROM search_feed ORDER BY position")
    assert _sweep(engine, model_id) == Redecided()
    assert rows(engine, "SELECT * FROM search_feed ORDER BY position") == feed


def test_another_related_cutoff_changes_related_tags_alone(
    engine: Engine, settings: Settings
) -> None:
    model_id = _two_listings(engine, settings)
    related = DECISION.related
    lower = replace(DECISION, related=RelatedTags(related.names, related.matrix, cutoff=0.05))
    _put_in_force(engine, model_id, lower)
    _sweep(engine, model_id)
    assert rows(engine, _LAST) == [("far", ["cable"], ["tripod"]), ("near", [], [])]


def test_a_trial_counts_and_changes_nothing(engine: Engine, settings: Settings) -> None:
    model_id = _two_listings(engine, settings)
    _sweep(engine, model_id)
    tables = ("decision", "photo", "photo_tag", "listing_tag", "search_feed")
    before = [rows(engine, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]  # noqa: S608
    assert _count(engine, model_id, _LOWER) == Redecided(2, 1, 1)
    assert _count(engine, model_id, DECISION) == Redecided(2, 0, 0)
    assert [
        rows(engine, f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608
        for table in tables
    ] == before


def test_a_listing_that_was_deleted_stays_a_tombstone(engine: Engine, settings: Settings) -> None:
    model_id = _two_listings(engine, settings)
    record(engine, settings, event("near", type="listing.deleted", minute=1))
    _put_in_force(engine, model_id, _LOWER)
    _sweep(engine, model_id)
    assert rows(engine, _LAST)[1] == ("near", None, None)


def test_photos_of_other_models_are_left_alone(engine: Engine, settings: Settings) -> None:
    _two_listings(engine, settings)
    with engine.begin() as connection:
        other = register(connection, _LOWER, "m-2")
    assert _sweep(engine, other) == Redecided()
