"""Nobody waits for flags that are only noted, and nobody in a ring for those that are published."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, text

from shared.db import listings
from shared.db.follow import Entry, Follower
from shared.db.session import make_engine
from shared.settings import Settings
from tests.marketplace import champion, claim_all, event, record, rows, settle, tag_all, tagged
from tests.waiting import wait_until
from trust.flagger import Flagger

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
_NAMES = [f"L{number}" for number in range(5)]


@pytest.fixture
def impatient(settings: Settings) -> Engine:
    """Of others, who wait for no lock."""
    return make_engine(settings.model_copy(update={"lock_timeout_s": 0.1}), role="test")


def _listed(engine: Engine, settings: Settings) -> None:
    """Listings with a tagged photo each, and one that waits."""
    both = ["http://o.test/1.jpg", "http://o.test/2.jpg"]
    record(engine, settings, *(event(name, photos=both[:1]) for name in _NAMES))
    tag_all(engine)
    record(engine, settings, *(event(name, minute=1, photos=both) for name in _NAMES))


def test_in_shadow_listings_change_and_go_and_photos_are_settled_meanwhile(
    engine: Engine, settings: Settings, impatient: Engine
) -> None:
    _listed(engine, settings)
    claims = claim_all(engine)
    with engine.begin() as connection:
        model = champion(connection)
        connection.execute(text("UPDATE photo SET phash = id"))
    with engine.begin() as connection:
        entries = [Entry(name, 1, {}) for name in _NAMES]
        Flagger(("bargain",), shadow=True).apply(connection, entries)
        assert connection.execute(text("SELECT count(*) FROM listing_flag")).scalar_one()
        assert connection.execute(text("SELECT count(*) FROM listing_fingerprint")).scalar_one()
        settle(impatient, *(replace(tagged(its, model, [0.9, 0.1]), phash=1) for its in claims))
        record(impatient, settings, *(event(name, minute=2, photos=[]) for name in _NAMES))
        record(
            impatient,
            settings,
            *(event(name, minute=3, type="listing.deleted", photos=[]) for name in _NAMES),
        )
    Follower(engine, Flagger(("bargain",), shadow=True)).catch_up()
    assert rows(engine, "SELECT count(*) FROM listing_fingerprint") == [(0,)]
    assert rows(engine, "SELECT count(*) FROM listing_flag") == [(0,)]


def test_out_of_shadow_it_and_intake_wait_for_each_other_one_after_the_other(
    engine: Engine, settings: Settings
) -> None:
    _listed(engine, settings)
    with engine.begin() as connection:
        connection.execute(text("UPDATE photo SET status = 'tagged', phash = id"))
    flagger = Flagger(("bargain",), shadow=False)
    with ThreadPoolExecutor(1) as other:
        with engine.begin() as connection:  # as intake does it
            ids = connection.execute(text("SELECT id FROM listing")).scalars().all()
            listings.lock(connection, ids)
            flagging = other.submit(Follower(engine, flagger).catch_up)
            wait_until(lambda: rows(engine, _WAITING) == [(1,)])
            connection.execute(text("DELETE FROM photo WHERE position = 1"))
        assert flagging.result(60).entries
        with engine.begin() as connection:
            flagger.apply(connection, [Entry(name, 1, {}) for name in _NAMES])
            deleted = [event(name, minute=3, type="listing.deleted") for name in _NAMES]
            deleting = other.submit(record, engine, settings, *deleted)
            wait_until(lambda: rows(engine, _WAITING) == [(1,)])
        assert deleting.result(60).recorded == len(_NAMES)
