"""What waits comes in the order of doubt, each listing once, and each page goes on exactly."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine, text

from review.queue import following, preceding
from review.queue_position import Band, Key, QueuePosition
from shared.db.decisions import Decisions
from shared.db.votes import Verdict
from shared.settings import Settings
from tests.marketplace import claim_all, event, listing, record, rows, settle, tagged, vote
from tests.review.page import flag

ME, OTHER = 1, 2
_ANY = QueuePosition()
#: Listing, kind and subject: the score.
FLAGS = {
    ("flagged", "spam", "bargain"): 0.7,
    ("twice", "spam", "bargain"): 0.3,
    ("twice", "restricted", "camera"): 0.9,
}


@pytest.fixture
def names(engine: Engine, settings: Settings) -> dict[int, str]:
    """Listings in the order that they should come in, by row; recorded in another."""
    ids = {
        "sure": listing(engine, settings, "sure", [0.99, 0.1]),
        "even": listing(engine, settings, "even", [0.95, 0.51]),  # one tag sure, the other not
        "doubtful": listing(engine, settings, "doubtful", [0.505, 0.1]),
        "flagged": listing(engine, settings, "flagged", [0.5, 0.1]),
        "twice": listing(engine, settings, "twice", [0.9, 0.1]),
        "tagless": listing(engine, settings, "tagless", [0.1, 0.1]),
    }
    for (name, kind, subject), score in FLAGS.items():
        flag(engine, ids[name], score, kind=kind, subject=subject)
    with engine.begin() as connection:
        for id_ in (ME, OTHER):
            connection.execute(
                text("INSERT INTO reviewer (name) VALUES (:name)"), {"name": f"reviewer {id_}"}
            )
    return {id_: name for name, id_ in ids.items()}


def _all(connection: Connection, position: QueuePosition = _ANY, *, by: int = 2) -> list[Key]:
    """Every page of the queue, `by` listings each."""
    found: list[Key] = []
    while page := following(
        connection, position.at(found[-1] if found else None), ME, Decisions(), limit=by
    ):
        found += page
        assert len(found) < 100
    return found


def _names(names: dict[int, str], keys: list[Key]) -> list[str]:
    return [names[key.listing_id] for key in keys]


ORDER = ["twice", "flagged", "doubtful", "even", "sure"]


@pytest.mark.parametrize("by", [1, 2, 10])
def test_flags_come_first_by_score_and_then_what_is_nearest_its_threshold(
    engine: Engine, names: dict[int, str], by: int
) -> None:
    with engine.connect() as connection:
        assert _names(names, _all(connection, by=by)) == ORDER


def test_going_back_finds_every_listing_again_also_those_with_a_vote(
    engine: Engine, names: dict[int, str]
) -> None:
    with engine.begin() as connection:
        last = _all(connection)[-1]
        for id_ in names:
            vote(connection, ME, id_, "camera", Verdict.ACCEPT)
        for name, kind, subject in FLAGS:
            [id_] = [id_ for id_, its in names.items() if its == name]
            vote(connection, ME, id_, subject, Verdict.REJECT, kind=kind)
        assert _all(connection) == []
        back: list[Key] = []
        key: Key | None = last
        while key := preceding(connection, QueuePosition(key=key), Decisions()):
            back.append(key)
    assert _names(names, back) == [*reversed(ORDER[:-1])]


def test_what_has_a_vote_waits_no_longer_and_with_anothers_only_where_that_is_asked(
    engine: Engine, names: dict[int, str]
) -> None:
    of = {name: id_ for id_, name in names.items()}
    with engine.begin() as connection:
        vote(connection, ME, of["flagged"], "bargain", Verdict.REJECT, kind="spam")
        vote(connection, OTHER, of["doubtful"], "camera", Verdict.ACCEPT)
        assert _names(names, _all(connection)) == ["twice", "even", "sure"]
        everyone = _all(connection, QueuePosition(everyone=True))
        assert _names(names, everyone) == ["twice", "doubtful", "even", "sure"]


def test_a_listing_waits_until_each_of_its_flags_has_a_vote(
    engine: Engine, names: dict[int, str]
) -> None:
    of = {name: id_ for id_, name in names.items()}
    with engine.begin() as connection:
        vote(connection, ME, of["twice"], "camera", Verdict.ACCEPT)  # of the tag
        vote(connection, ME, of["twice"], "camera", Verdict.ACCEPT, kind="restricted")
        assert _names(names, _all(connection)) == ORDER
        assert _names(names, _all(connection, QueuePosition(kind="restricted"))) == []
        vote(connection, ME, of["twice"], "bargain", Verdict.REJECT, kind="spam")
        assert _names(names, _all(connection)) == ORDER[1:]


def test_what_is_voted_on_of_a_kind_is_not_all_of_that_kind(
    engine: Engine, names: dict[int, str]
) -> None:
    of = {name: id_ for id_, name in names.items()}
    flag(engine, of["flagged"], 0.6, subject="gift")
    with engine.begin() as connection:
        vote(connection, ME, of["flagged"], "bargain", Verdict.REJECT, kind="spam")
        assert _names(names, _all(connection, QueuePosition(kind="spam"))) == ["flagged", "twice"]
        vote(connection, ME, of["flagged"], "gift", Verdict.REJECT, kind="spam")
        assert _names(names, _all(connection, QueuePosition(kind="spam"))) == ["twice"]


def test_a_listing_that_was_done_comes_back_for_a_new_flag(
    engine: Engine, names: dict[int, str]
) -> None:
    of = {name: id_ for id_, name in names.items()}
    with engine.begin() as connection:
        vote(connection, ME, of["doubtful"], "camera", Verdict.ACCEPT)
        vote(connection, ME, of["flagged"], "bargain", Verdict.REJECT, kind="spam")
    # One that went and came again is another flag.
    with engine.begin() as connection:
        connection.execute(
            text("DELETE FROM listing_flag WHERE listing_id = :id"), {"id": of["flagged"]}
        )
    flag(engine, of["flagged"], 0.7)
    flag(engine, of["doubtful"], 0.2)
    with engine.connect() as connection:
        assert _names(names, _all(connection)) == ["twice", "flagged", "doubtful", "even", "sure"]


def test_a_listing_that_was_done_comes_back_with_other_photos(
    engine: Engine, settings: Settings, names: dict[int, str]
) -> None:
    of = {name: id_ for id_, name in names.items()}
    with engine.begin() as connection:
        vote(connection, ME, of["doubtful"], "camera", Verdict.ACCEPT)
        vote(connection, ME, of["flagged"], "bargain", Verdict.REJECT, kind="spam")
        assert _names(names, _all(connection)) == ["twice", "even", "sure"]
    for name in ("doubtful", "flagged"):
        url = f"http://origin.test/{name}/other.jpg"
        record(engine, settings, event(name, minute=5, type="listing.updated", photos=[url]))
    [(model_id,)] = rows(engine, "SELECT id FROM model")
    settle(
        engine,
        *(
            replace(tagged(claim, model_id, [0.505, 0.1]), content_sha256="cd" * 32)
            for claim in claim_all(engine)
        ),
    )
    with engine.connect() as connection:
        assert _names(names, _all(connection)) == ORDER


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (QueuePosition(kind="spam"), ["flagged", "twice"]),
        (QueuePosition(kind="restricted"), ["twice"]),
        (QueuePosition(kind="uncertain"), ["doubtful", "even", "sure"]),
        (QueuePosition(tag="cable"), ["even"]),
        (QueuePosition(tag="bargain"), ["twice", "flagged"]),
        (QueuePosition(tag="no such tag"), []),
        (QueuePosition(kind="no such kind"), []),
    ],
)
def test_filters_leave_what_they_say(
    engine: Engine, names: dict[int, str], position: QueuePosition, expected: list[str]
) -> None:
    with engine.connect() as connection:
        found = _names(names, _all(connection, position))
    assert found == expected


def test_a_deleted_listing_does_not_wait(engine: Engine, names: dict[int, str]) -> None:
    assert names
    with engine.begin() as connection:
        connection.execute(text("UPDATE listing SET deleted_at = now()"))
        assert _all(connection) == []


def test_listings_of_the_same_score_are_all_there(
    engine: Engine, settings: Settings, names: dict[int, str]
) -> None:
    more = {listing(engine, settings, f"same {n}", [0.99, 0.1]) for n in range(5)}
    with engine.connect() as connection:
        found = [key.listing_id for key in _all(connection)]
    assert len(found) == len({*found}) == len(ORDER) + 5
    assert more <= {*found[4:]}
    assert names[found[3]] == "even"


def test_no_page_reads_a_whole_table(
    engine: Engine, settings: Settings, names: dict[int, str]
) -> None:
    """Of many listings and flags, an index leads to the first ones."""
    del names
    listing(engine, settings, "one", [0.9, 0.9])
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO listing (external_id, occurred_at, event_id)
                SELECT 'many ' || n, now(), 'e' || n FROM generate_series(1, 30000) AS n;
                INSERT INTO listing_tag (listing_id, tag_id, score, rank, model_id)
                SELECT listing.id, tag.id, 0.5 + random() / 2, 1, 1 FROM listing, tag
                WHERE external_id LIKE 'many %' AND tag.name IN ('camera', 'cable');
                INSERT INTO listing_flag (listing_id, kind, subject, score, reason)
                SELECT id, 'spam', '', random(), '' FROM listing
                WHERE external_id LIKE 'many %' AND id % 2 = 0;
                INSERT INTO photo (listing_id, position, url, url_sha256, status, content_sha256)
                SELECT id, 0, external_id, sha256(external_id::bytea), 'tagged',
                    decode('00', 'hex')
                FROM listing WHERE external_id LIKE 'many %';
                INSERT INTO vote (listing_id, kind, subject, reviewer_id, verdict, photos_sha256)
                SELECT listing_id, kind, subject, 2, 'accept', sha256(decode('00', 'hex')) FROM (
                    (SELECT listing_id, kind, subject FROM listing_flag
                        ORDER BY score DESC LIMIT 200)
                    UNION ALL
                    (SELECT listing_id, 'tag', 'camera' FROM listing_tag
                        WHERE NOT EXISTS (
                            SELECT FROM listing_flag
                            WHERE listing_flag.listing_id = listing_tag.listing_id)
                        ORDER BY score LIMIT 200)) AS done ON CONFLICT DO NOTHING;
                ANALYZE listing; ANALYZE listing_tag; ANALYZE listing_flag; ANALYZE vote;
                ANALYZE photo;
            """)
        )
    # Of this transaction, and of what this connection has not reported yet.
    read = text("""
        SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
        WHERE relname IN ('listing', 'listing_tag', 'listing_flag', 'vote', 'photo')
    """)
    with engine.connect() as connection:
        before = connection.execute(read).scalar_one()
        for position in (
            QueuePosition(),
            QueuePosition(kind="spam"),
            QueuePosition(kind="uncertain"),
            QueuePosition(tag="cable"),
        ):
            page = following(connection, position, ME, Decisions(), limit=20)
            assert len(page) == 20
            assert following(connection, position.at(page[-1]), ME, Decisions(), limit=20)
            assert preceding(connection, position.at(page[-1]), Decisions()) == page[-2]
        looked_at = connection.execute(read).scalar_one() - before
    assert 0 < looked_at < 10_000  # by twelve calls


def test_a_key_is_itself_again_and_nothing_else_is_one() -> None:
    assert Key.parse("flagged:1e-300:1") == Key(Band.FLAGGED, 0, 1)
    for key in (Key(Band.FLAGGED, 0.1, 7), Key(Band.UNCERTAIN, -1e-7, (1 << 63) - 1)):
        assert Key.parse(str(key)) == key
    for other in ("", "x", "flagged:nan:1", "flagged:1:-1", "flagged:1e999:1", "flagged:1:1'--"):
        assert Key.parse(other) is None
    assert Key.parse(f"flagged:1:{1 << 63}") is None
