"""Each listing gets the flags that hold for it, and loses those that no longer do."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from dev.fleet import Fleet
from shared.db.feed_cursors import rewind
from shared.db.follow import Follower
from shared.settings import Settings
from tests.judge import JUDGE
from tests.marketplace import DECISION, claim_all, event, record, register, rows, settle, tagged
from tests.waiting import wait_until
from trust.flagger import NAME, Flagger

_PHOTO = 0x0123456789ABCDEF


@pytest.fixture
def model(engine: Engine) -> int:
    """A champion that doubts sellers' words."""
    with engine.begin() as connection:
        id_ = register(connection, replace(DECISION, spam=JUDGE))
        connection.execute(text("UPDATE model SET status = 'champion'"))
    return id_


def _tag(engine: Engine, model: int, scores: list[float], phash: int | None = None) -> None:
    settled = [replace(tagged(claim, model, scores), phash=phash) for claim in claim_all(engine)]
    assert settled
    settle(engine, *settled)


def _follow(engine: Engine, *restricted: str, shadow: bool = True) -> int:
    return Follower(engine, Flagger(restricted, shadow=shadow)).catch_up().entries


def _flags(engine: Engine) -> list[tuple[Any, ...]]:
    return rows(
        engine,
        """
        SELECT external_id, kind, subject FROM listing_flag
        JOIN listing ON listing.id = listing_id ORDER BY external_id, kind, subject
        """,
    )


def _documents(engine: Engine, listing: str) -> list[Any]:
    return [
        document and document.get("flags")
        for (document,) in rows(
            engine,
            "SELECT document FROM search_feed WHERE listing_id = :id ORDER BY position",
            id=listing,
        )
    ]


def test_a_word_that_contradicts_the_photos_is_flagged_with_its_reason(
    engine: Engine, settings: Settings, model: int
) -> None:
    record(engine, settings, event("spams", seller_tags=["cable", "camera", "bargain"]))
    record(engine, settings, event("honest", seller_tags=["camera"]))
    _tag(engine, model, [0.99, 0.01])
    _follow(engine)
    assert _flags(engine) == [("spams", "spam", "cable")]
    ((score, reason, shadow),) = rows(engine, "SELECT score, reason, shadow FROM listing_flag")
    assert score > 0.8
    assert "99 in 100 are filed under camera" in reason
    assert shadow


def test_a_flag_goes_when_the_seller_takes_the_word_back(
    engine: Engine, settings: Settings, model: int
) -> None:
    record(engine, settings, event("L1", seller_tags=["cable"]))
    _tag(engine, model, [0.99, 0.01])
    _follow(engine)
    assert _flags(engine) == [("L1", "spam", "cable")]
    record(engine, settings, event("L1", minute=1, type="listing.updated", seller_tags=["camera"]))
    _follow(engine)
    assert _flags(engine) == []


def test_a_flag_that_stays_keeps_the_time_it_came(
    engine: Engine, settings: Settings, model: int
) -> None:
    record(engine, settings, event("L1", seller_tags=["cable"]))
    _tag(engine, model, [0.99, 0.01])
    _follow(engine)
    before = rows(engine, "SELECT created_at FROM listing_flag")
    with engine.begin() as connection:
        rewind(connection, NAME)
    assert _follow(engine) > 0
    assert rows(engine, "SELECT created_at FROM listing_flag") == before


def test_photos_that_show_nothing_are_flagged_and_not_called_spam(
    engine: Engine, settings: Settings, model: int
) -> None:
    record(engine, settings, event("L1", seller_tags=["cable"]))
    _tag(engine, model, [0.25, 0.1])
    _follow(engine)
    assert _flags(engine) == [("L1", "nothing_known", "")]
    assert rows(engine, "SELECT score FROM listing_flag") == [(0.5,)]


def test_restricted_tags_are_flagged_by_photos_and_by_words_also_before_any_photo_is_tagged(
    engine: Engine, settings: Settings, model: int
) -> None:
    record(engine, settings, event("shows", title="", seller_tags=[]))
    _tag(engine, model, [0.9, 0.1])
    record(engine, settings, event("says", title="", seller_tags=["Ivory"], photos=[]))
    _follow(engine, "camera", "ivory")
    assert _flags(engine) == [("says", "restricted", "ivory"), ("shows", "restricted", "camera")]


def test_the_later_of_two_listings_with_one_photo_is_flagged(
    engine: Engine, settings: Settings, model: int
) -> None:
    record(engine, settings, event("first", seller_tags=[]))
    _tag(engine, model, [0.9, 0.1], _PHOTO)
    record(engine, settings, event("copy", seller_tags=[]))
    _tag(engine, model, [0.9, 0.1], _PHOTO ^ 0b1111)
    record(engine, settings, event("other", seller_tags=[]))
    _tag(engine, model, [0.9, 0.1], _PHOTO ^ 0b11111)
    _follow(engine)
    assert _flags(engine) == [
        ("copy", "reused_photo", "first"),
        ("other", "reused_photo", "copy"),
    ], "five bits away from the first, and one from the copy"
    assert rows(engine, "SELECT score FROM listing_flag ORDER BY score") == [
        (pytest.approx(1 - 4 / 64),),
        (pytest.approx(1 - 1 / 64),),
    ]


def test_it_is_the_later_listing_also_where_its_photo_was_tagged_first(
    engine: Engine, settings: Settings, model: int
) -> None:
    record(engine, settings, event("first", seller_tags=[]))
    early = claim_all(engine)
    record(engine, settings, event("copy", seller_tags=[]))
    _tag(engine, model, [0.9, 0.1], -_PHOTO)
    _follow(engine)
    assert _flags(engine) == []
    settle(engine, *(replace(tagged(claim, model, [0.9, 0.1]), phash=-_PHOTO) for claim in early))
    _follow(engine)
    assert _flags(engine) == [("copy", "reused_photo", "first")]


def test_one_photo_twice_in_a_listing_is_no_reuse(
    engine: Engine, settings: Settings, model: int
) -> None:
    record(engine, settings, event("L1", photos=["http://o.test/1.jpg", "http://o.test/2.jpg"]))
    _tag(engine, model, [0.9, 0.1], _PHOTO)
    _follow(engine)
    assert _flags(engine) == []


def test_a_copy_is_unflagged_when_the_first_listing_is_deleted(
    engine: Engine, settings: Settings, model: int
) -> None:
    record(engine, settings, event("first"))
    record(engine, settings, event("copy", seller_tags=["cable"]))
    _tag(engine, model, [0.99, 0.01], _PHOTO)
    _follow(engine)
    assert _flags(engine) == [("copy", "reused_photo", "first"), ("copy", "spam", "cable")]
    record(engine, settings, event("first", minute=1, type="listing.deleted"))
    _follow(engine)
    assert _flags(engine) == [("copy", "spam", "cable")]
    record(engine, settings, event("copy", minute=2, type="listing.deleted"))
    _follow(engine)
    assert _flags(engine) == []
    assert rows(engine, "SELECT count(*) FROM photo_fingerprint") == [(0,)]


def test_in_shadow_no_document_mentions_flags(
    engine: Engine, settings: Settings, model: int
) -> None:
    record(engine, settings, event("L1", seller_tags=["cable"]))
    _tag(engine, model, [0.99, 0.01])
    _follow(engine)
    record(engine, settings, event("L1", minute=1, type="listing.updated", seller_tags=["cable"]))
    _follow(engine)
    assert not any(_documents(engine, "L1"))


def test_out_of_shadow_documents_mention_them_once_and_no_longer_when_they_go(
    engine: Engine, settings: Settings, model: int
) -> None:
    record(engine, settings, event("L1", seller_tags=["cable"]))
    _tag(engine, model, [0.99, 0.01])
    _follow(engine, shadow=False)
    assert _documents(engine, "L1")[-1] == [{"kind": "spam", "subject": "cable"}]
    published = len(_documents(engine, "L1"))
    assert _follow(engine, shadow=False) == 0, "its own documents are followed, and change nothing"
    assert len(_documents(engine, "L1")) == published
    record(engine, settings, event("L1", minute=1, type="listing.updated", seller_tags=[]))
    _follow(engine, shadow=False)
    assert _documents(engine, "L1")[-1] is None


def test_back_in_shadow_documents_lose_them(engine: Engine, settings: Settings, model: int) -> None:
    record(engine, settings, event("L1", seller_tags=["cable"]))
    _tag(engine, model, [0.99, 0.01])
    _follow(engine, shadow=False)
    with engine.begin() as connection:
        rewind(connection, NAME)
    _follow(engine)
    assert _documents(engine, "L1")[-1] is None
    assert _flags(engine) == [("L1", "spam", "cable")]


def test_flags_go_by_the_photos_that_the_listings_tags_go_by_whichever_model_saw_them(
    engine: Engine, settings: Settings, model: int
) -> None:
    with engine.begin() as connection:
        other = register(connection, replace(DECISION, spam=JUDGE), version="m-2")
    photos = ["http://o.test/1.jpg", "http://o.test/2.jpg"]
    record(engine, settings, event("L1", title="", seller_tags=[], photos=photos[:1]))
    _tag(engine, model, [0.99, 0.01])
    record(engine, settings, event("L1", minute=1, title="", seller_tags=[], photos=photos))
    _tag(engine, other, [0.03, 0.01])  # by itself it shows nothing
    _follow(engine, "camera")
    [(document,)] = rows(engine, "SELECT document FROM search_feed ORDER BY position DESC LIMIT 1")
    assert [tag["tag"] for tag in document["tags"]] == ["camera"]
    assert _flags(engine) == [("L1", "restricted", "camera")]


def test_a_model_without_a_judge_doubts_nobody_and_the_log_says_so_once(
    engine: Engine, settings: Settings
) -> None:
    with engine.begin() as connection:
        other = register(connection)
    follower = Follower(engine, Flagger((), shadow=True))
    with capture_logs() as logs:
        for minute in (0, 1):
            photos = [f"http://o.test/{minute}.jpg"]
            record(engine, settings, event("L1", minute=minute, photos=photos))
            _tag(engine, other, [0.99, 0.01])
            follower.catch_up()
    assert [its["model"] for its in logs if its["event"] == "flags.no_judge_of_spam"] == ["m-1"]
    assert _flags(engine) == []


def test_a_title_that_names_what_is_restricted_is_flagged(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event("L1", title="Real IV\u00adORY", seller_tags=[], photos=[]))
    _follow(engine, "ivory")
    assert _flags(engine) == [("L1", "restricted", "ivory")]


def test_the_log_says_how_many_tags_are_restricted_and_warns_of_commas(engine: Engine) -> None:
    with capture_logs() as logs:
        _follow(engine, "ivory, weapons")
        _follow(engine, "ivory", "weapons")
    policies = [(its["event"], its.get("restricted")) for its in logs]
    assert policies == [("flags.policy", 1), ("flags.policy_has_commas", None), ("flags.policy", 2)]


def test_the_command_follows_until_it_is_stopped(
    engine: Engine, settings: Settings, fleet: Fleet, model: int
) -> None:
    fleet.environment["TAGGER_RESTRICTED_TAGS"] = "Weapons; Camera & photo ;camera"
    fleet.start("flag", "flag")
    record(engine, settings, event("L1", title="", seller_tags=["camera & photo"]))
    _tag(engine, model, [0.9, 0.1])
    expected = [("L1", "restricted", "camera"), ("L1", "restricted", "camera & photo")]
    wait_until(lambda: _flags(engine) == expected)
    fleet.stop("flag")
