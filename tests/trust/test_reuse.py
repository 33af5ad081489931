"""However many photos there are, and however many look the same, a listing costs a few rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, text

from shared.db.follow import Entry, Follower
from shared.settings import Settings
from tests.marketplace import (
    champion,
    claim_all,
    event,
    listing,
    record,
    rows,
    settle,
    tagged,
)
from trust import fingerprints, reuse
from trust.flagger import Flagger

_PLACEHOLDER = 0x0123456789ABCDEF
_READ = """
    SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
    WHERE relname IN ('listing', 'photo', 'listing_flag', 'photo_fingerprint',
        'listing_fingerprint')
"""
_REUSED = "SELECT subject FROM listing_flag WHERE kind = 'reused_photo'"
_REUSED_BY = """
    SELECT external_id, subject FROM listing_flag JOIN listing ON listing.id = listing_id
    WHERE kind = 'reused_photo' ORDER BY external_id, subject
"""


def _fill(connection: Connection, looks: list[int]) -> None:
    """Listings that nobody judged yet, each with a photo that looks so, in this order."""
    connection.execute(
        text("""
            WITH look AS (
                SELECT phash, n FROM unnest(CAST(:looks AS bigint[])) WITH ORDINALITY AS _(phash, n)
            ), made AS (
                INSERT INTO listing (external_id, occurred_at, event_id)
                SELECT 'many ' || n, now(), '' FROM look RETURNING id, external_id
            )
            INSERT INTO photo (listing_id, position, url, url_sha256, status, phash, scores,
                model_id, finished_at)
            SELECT made.id, 0, external_id, sha256(external_id::bytea), 'tagged', phash,
                '{0.9, 0.1}', :model, now()
            FROM made JOIN look ON external_id = 'many ' || n
        """),
        {"looks": looks, "model": champion(connection)},
    )
    ids = connection.execute(text("SELECT id FROM listing ORDER BY id")).scalars().all()
    fingerprints.update(connection, ids)


@pytest.mark.parametrize("analysed", [False, True])
def test_no_step_reads_through_a_table(engine: Engine, settings: Settings, analysed: bool) -> None:
    random = np.random.default_rng(0)
    looks = random.integers(-(1 << 63), (1 << 63) - 1, 20_000).tolist()
    with engine.begin() as connection:
        _fill(connection, looks + [_PLACEHOLDER] * 3000)
        if analysed:
            connection.execute(text("ANALYZE"))
    mine = listing(engine, settings, "mine", [0.9, 0.1])
    flagger, entry = Flagger((), shadow=True), Entry("mine", 1, {})
    with engine.connect() as connection:
        for phash, copied in (
            (5, None),
            (looks[9], "many 10"),
            (looks[9] ^ 1, "many 10"),
            (_PLACEHOLDER, None),
            (_PLACEHOLDER ^ 1, None),
            (5, None),
        ):
            connection.execute(
                text("UPDATE photo SET phash = :phash WHERE listing_id = :id"),
                {"phash": phash, "id": mine},
            )
            before = connection.execute(text(_READ)).scalar_one()
            flagger.apply(connection, [entry])
            assert 0 < connection.execute(text(_READ)).scalar_one() - before < 5000
            assert connection.execute(text(_REUSED)).scalars().all() == [copied] * bool(copied)


def _seen(engine: Engine, settings: Settings, name: str, phash: int, **changes: Any) -> None:
    """Records a listing, and what its photos look like."""
    record(engine, settings, event(name, seller_tags=[], **changes))
    with engine.begin() as connection:
        model = champion(connection)
    claims = claim_all(engine)
    settle(engine, *(replace(tagged(claim, model, [0.9, 0.1]), phash=phash) for claim in claims))


def _reused(engine: Engine) -> list[tuple[str, str]]:
    """Who is flagged with whose photo, after all was judged."""
    Follower(engine, Flagger((), shadow=True)).catch_up()
    return [(copy, first) for copy, first in rows(engine, _REUSED_BY)]


def test_a_photo_whose_url_changes_stays_as_old_as_it_is(
    engine: Engine, settings: Settings
) -> None:
    for name in ("victim", "thief"):
        _seen(engine, settings, name, _PLACEHOLDER)
    assert _reused(engine) == [("thief", "victim")]
    signed = {"type": "listing.updated", "photos": ["http://origin.test/victim/0.jpg?sig=2"]}
    record(engine, settings, event("victim", minute=1, seller_tags=[], **signed))
    assert _reused(engine) == [("thief", "victim")], "until the new one was looked at"
    _seen(engine, settings, "victim", _PLACEHOLDER ^ 1, minute=2, **signed)
    assert _reused(engine) == [("thief", "victim")]
    assert rows(engine, "SELECT count(*) FROM photo_fingerprint") == [(2,)]


def test_a_photo_that_was_taken_out_is_nobodys(engine: Engine, settings: Settings) -> None:
    for name in ("moved", "here"):
        _seen(engine, settings, name, _PLACEHOLDER)
    assert _reused(engine) == [("here", "moved")]
    record(engine, settings, event("moved", minute=1, photos=[]))
    assert _reused(engine) == []


def test_of_many_later_copies_the_first_is_found_where_the_original_was_tagged_last(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reuse, "_LATER", 2)
    record(engine, settings, event("original"))
    early = claim_all(engine)
    for number in range(5, 0, -1):
        _seen(engine, settings, f"copy {number}", _PLACEHOLDER)
    assert ("copy 5", "original") not in _reused(engine)
    with engine.begin() as connection:
        model = champion(connection)
    settle(engine, *(replace(tagged(its, model, [0.9, 0.1]), phash=_PLACEHOLDER) for its in early))
    assert ("copy 5", "original") in _reused(engine)


def test_what_too_many_listings_have_nobody_took_and_once_they_are_few_somebody_did(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reuse, "MOST", 3)
    for number in range(3):
        _seen(engine, settings, f"L{number}", _PLACEHOLDER)
    assert _reused(engine) == [("L1", "L0"), ("L2", "L0")]
    _seen(engine, settings, "L3", _PLACEHOLDER)
    assert _reused(engine) == []
    _seen(engine, settings, "L4", _PLACEHOLDER ^ 1)
    assert _reused(engine) == []
    record(engine, settings, event("L1", minute=1, type="listing.deleted"))
    assert _reused(engine) == [("L2", "L0"), ("L3", "L0")]


def test_what_too_many_listings_have_is_nobodys_copy_of_something_else(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reuse, "MOST", 3)
    _seen(engine, settings, "near", _PLACEHOLDER ^ 1)
    for number in range(3):
        _seen(engine, settings, f"L{number}", _PLACEHOLDER)
    assert _reused(engine) == [("L0", "near"), ("L1", "near"), ("L2", "near")]
    _seen(engine, settings, "L3", _PLACEHOLDER)
    assert _reused(engine) == []
