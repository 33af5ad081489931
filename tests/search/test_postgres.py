"""The index in Postgres: what is published is found, what is deleted is not."""

import json

import pytest
from sqlalchemy import Engine, text

from dev.fleet import Fleet
from search.postgres import NAME, PostgresIndex
from search.query import Found, Query, related, search
from shared.db.feed_cursors import rewind
from shared.db.follow import Follower, Progress
from shared.settings import Settings
from tests.marketplace import event, record, rows, tag_all

_LANGUAGE = "english"


def _find(engine: Engine, words: str = "", **more: object) -> Found:
    with engine.connect() as connection:
        return search(connection, Query(words, **more), _LANGUAGE)  # pyright: ignore[reportArgumentType]


def _ids(found: Found) -> list[str]:
    return [hit.listing_id for hit in found.hits]


@pytest.fixture
def follower(engine: Engine) -> Follower:
    """Keeps the index up to date."""
    return Follower(engine, PostgresIndex(_LANGUAGE))


def test_words_are_found_where_they_stand_and_those_of_photos_come_first(
    engine: Engine, settings: Settings, follower: Follower
) -> None:
    record(
        engine,
        settings,
        event("seen", title="An old thing", seller_tags=[]),
        event("claimed", title="An old thing", seller_tags=["camera"], photos=[]),
        event("titled", title="A camera", seller_tags=[], photos=[]),
    )
    tag_all(engine)
    follower.catch_up()
    assert _ids(_find(engine, "cameras")) == ["seen", "titled", "claimed"]
    assert _ids(_find(engine, "camera", sources=["tags"])) == ["seen"]
    assert _ids(_find(engine, "camera", sources=["seller_tags"])) == ["claimed"]
    assert _ids(_find(engine, "tripod")) == ["seen"], "a related tag"
    assert _ids(_find(engine, "camera -old")) == ["titled"]
    assert _ids(_find(engine, '"old camera"')) == []


def test_filters_and_facets_speak_of_the_tags_read_off_photos(
    engine: Engine, settings: Settings, follower: Follower
) -> None:
    record(
        engine,
        settings,
        event("a", seller_tags=["cable"]),
        event("b", minute=1),
        event("c", photos=[]),
    )
    tag_all(engine)
    follower.catch_up()
    found = _find(engine, tags=["Camera"])
    assert _ids(found) == ["b", "a"], "the newest first where no word is looked for"
    assert (found.total, found.facets) == (2, {"camera": 2})
    assert _ids(_find(engine, without=["camera"])) == ["c"]
    assert _find(engine, tags=["cable"]).total == 0, "which only the seller says"


def test_related_tags_stand_for_the_words_behind_what_the_words_find(
    engine: Engine, settings: Settings, follower: Follower
) -> None:
    record(engine, settings, event("seen", title="x"), event("titled", title="tripod", photos=[]))
    tag_all(engine)
    follower.catch_up()
    with engine.connect() as connection:
        assert related(connection, "a good tripod", _LANGUAGE) == ["camera"]
        assert related(connection, "nothing known", _LANGUAGE) == []
    words = {"words": "tripod", "sources": ["title"]}
    assert _ids(_find(engine, **words)) == ["titled"]  # pyright: ignore[reportArgumentType]
    assert _ids(_find(engine, **words, expand=["camera"])) == ["titled", "seen"]  # pyright: ignore[reportArgumentType]


def test_updates_and_deletions_follow_and_a_rebuild_tells_the_same(
    engine: Engine, settings: Settings, follower: Follower
) -> None:
    record(engine, settings, event("a", title="lens"), event("b", title="lens"))
    tag_all(engine)
    follower.catch_up()
    record(engine, settings, event("a", minute=1, title="filter"))
    record(engine, settings, event("b", minute=1, type="listing.deleted"))
    tag_all(engine)
    assert follower.catch_up().entries > 0
    assert _ids(_find(engine, "lens")) == []
    assert _ids(_find(engine, "filter")) == ["a"]
    before = rows(engine, "SELECT listing_id, doc_version, title, tags FROM search_document")
    with engine.begin() as connection:
        rewind(connection, NAME)
    follower.catch_up()
    assert (
        rows(engine, "SELECT listing_id, doc_version, title, tags FROM search_document") == before
    )
    assert follower.catch_up().entries == 0


def test_a_document_of_too_many_words_is_refused_and_the_others_are_in(
    engine: Engine, settings: Settings, follower: Follower
) -> None:
    words = [f"a{n:06}{'z' * 30}-b{n:06}{'y' * 30}" for n in range(11_000)]
    roomy = settings.model_copy(update={"max_seller_tags": 20_000})
    record(
        engine,
        roomy,
        event("a", photos=[]),
        event("wordy", seller_tags=words, photos=[]),
        event("b", photos=[]),
    )
    assert follower.catch_up() == Progress(entries=3, refused=1)
    assert rows(engine, "SELECT listing_id FROM search_document ORDER BY 1") == [("a",), ("b",)]
    [(listing, reason)] = rows(engine, "SELECT listing_id, reason FROM feed_refusal")
    assert (listing, "too long for tsvector" in reason) == ("wordy", True)


def test_beginning_again_never_shows_what_is_deleted(
    engine: Engine, settings: Settings, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.db.follow.BATCH", 1)
    record(engine, settings, event("gone", title="lens", photos=[]))
    record(engine, settings, event("a", title="lens", photos=[]))
    record(engine, settings, event("gone", minute=1, type="listing.deleted"))
    record(engine, settings, event("a", minute=1, title="filter", photos=[]))
    follower.catch_up()
    with engine.begin() as connection:
        rewind(connection, NAME)
    again = Follower(engine, PostgresIndex(_LANGUAGE))
    while again.step().entries:
        assert _ids(_find(engine, "lens")) == []
        assert _ids(_find(engine, "filter")) == ["a"]


@pytest.mark.parametrize(
    "words", ["", "the", "'; --", '"', "-", "a:*", "\0", "\\", "<->", "x" * 5000]
)
def test_whatever_is_typed_is_looked_for_and_nothing_else(engine: Engine, words: str) -> None:
    assert _find(engine, words).total == 0


def test_the_commands_index_and_find(engine: Engine, settings: Settings, fleet: Fleet) -> None:
    record(engine, settings, event("a", title="\x1b[2Jevil"))
    tag_all(engine)
    done = fleet.run("index", "--once")
    assert done.returncode == 0, done.stderr
    shown = fleet.run("search", "camera", "--related")
    assert b"a" in shown.stdout
    assert b"\x1b[2J" not in shown.stdout
    answer = json.loads(fleet.run("search", "camera", "--json").stdout)
    assert [hit["listing_id"] for hit in answer["hits"]] == ["a"]
    wrong = fleet.run("search", "camera", "--in", "photos")
    assert (wrong.returncode, b"--in photos" in wrong.stderr) == (1, True)


def test_search_uses_its_indexes(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO search_document (
                listing_id, doc_version, occurred_at, title, tags, seller_tags, related_tags,
                words)
            SELECT n, 1, now(), '', ARRAY['t' || mod(n, 1000)], '{}', '{}',
                to_tsvector('simple', 'w' || mod(n, 1000)) FROM generate_series(1, 20000) AS n
        """)
        )
        connection.execute(text("ANALYZE search_document"))
        for condition, index in (
            ("words @@ websearch_to_tsquery('simple', 'w7')", "ix_search_document_words"),
            ("tags @> ARRAY['t7']", "ix_search_document_tags"),
        ):
            plan = f"EXPLAIN SELECT * FROM search_document WHERE {condition}"  # noqa: S608
            assert index in "\n".join(connection.execute(text(plan)).scalars())
