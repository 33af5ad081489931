"""A webhook-id stands for one content, for as long as it could be replayed."""

from sqlalchemy import Engine, text

from producer.http import deliveries
from tests.marketplace import rows


def _take(engine: Engine, window_s: float = 600, **contents: bytes) -> set[str]:
    with engine.begin() as connection:
        return deliveries.take(connection, contents, window_s)


def _age(engine: Engine, seconds: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE webhook_delivery SET seen_at = seen_at - make_interval(secs => :seconds)"),
            {"seconds": seconds},
        )


def test_the_same_content_is_taken_again_and_other_content_is_not(engine: Engine) -> None:
    assert _take(engine, a=b"1", b=b"2") == {"a", "b"}
    assert _take(engine, a=b"1", b=b"3", c=b"4") == {"a", "c"}
    query = "SELECT webhook_id, encode(content_sha256, 'escape') FROM webhook_delivery ORDER BY 1"
    assert rows(engine, query) == [("a", "1"), ("b", "2"), ("c", "4")]


def test_an_id_may_be_used_again_when_it_cannot_be_replayed_any_more(engine: Engine) -> None:
    _take(engine, a=b"1")
    _age(engine, 599)
    assert _take(engine, a=b"2") == set()
    _age(engine, 2)
    assert _take(engine, a=b"2") == {"a"}
    assert _take(engine, a=b"1") == set(), "it stands for the newer content then"


def test_what_cannot_be_replayed_any_more_is_deleted(engine: Engine) -> None:
    _take(engine, old=b"1")
    _age(engine, 601)
    _take(engine, new=b"2")
    with engine.begin() as connection:
        assert deliveries.purge(connection, 600) == 1
    assert rows(engine, "SELECT webhook_id FROM webhook_delivery") == [("new",)]
