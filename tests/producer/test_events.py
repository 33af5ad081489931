"""Which lines are listing events, and why others are not."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.events import EventType, Limits, newest
from producer.parsing import parse
from shared.errors import EventError
from tests.marketplace import NOON, event

LIMITS = Limits(max_event_bytes=2000, max_photos=3, max_seller_tags=3)


def _parse(value: Any, limits: Limits = LIMITS) -> Any:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parse(raw, limits, NOON)


def test_an_event_is_read_as_it_stands() -> None:
    parsed = _parse(event(photos=["a", "b", "a"], seller_tags=["x", "x", "y"]))
    assert parsed.type is EventType.CREATED
    assert parsed.occurred_at == NOON
    assert parsed.photos == ("a", "b"), "each photo once, in the seller's order"
    assert parsed.seller_tags == ("x", "y")


def test_title_and_seller_tags_may_be_null_or_absent() -> None:
    bare = event(title=None, seller_tags=None)
    assert (_parse(bare).title, _parse(bare).seller_tags) == ("", ())


def test_a_deletion_needs_no_title_and_no_photos() -> None:
    gone = event(type="listing.deleted")
    del gone["title"], gone["photos"], gone["seller_tags"]
    assert _parse(gone).photos == ()


@pytest.mark.parametrize("time", ["2026-01-01T12:00:00Z", "2026-01-01T13:00:00+01:00"])
def test_times_are_compared_in_utc(time: str) -> None:
    assert _parse(event(occurred_at=time)).occurred_at == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"type": NaN}', "not_json"),
        (b'{"type": 1e999}', "not_json"),
        (b'{"type": -1E+999}', "not_json"),
        (b'{"type": "listing.created", "type": "listing.deleted"}', "not_json"),
        (b"[" * 1500, "not_json"),
        (b'{"type": "\xff"}', "not_utf8"),
        (b'{"type": "\xed\xa0\x80"}', "not_utf8"),
        ('{"type": "x"}'.encode("utf-16"), "not_utf8"),
        (b"[1]", "not_an_object"),
        (b'"listing.created"', "not_an_object"),
        (b"x" * 2001, "too_large"),
        (event(type="listing.sold"), "unknown_type"),
        (event(type=["listing.created"]), "unknown_type"),
        (event(event_id=None), "missing_field"),
        (event(event_id="  "), "missing_field"),
        (event(event_id=7), "wrong_type"),
        (event(listing_id="x" * 201), "too_long"),
        (event(title=["a"]), "wrong_type"),
        (event(title="a\0b"), "nul_character"),
        (event(seller_tags="camera"), "wrong_type"),
        (event(seller_tags=["a\ud800"]), "bad_unicode"),
        (event(seller_tags=list("abcd")), "too_many"),
        (event(photos=None), "missing_field"),
        (event(photos="http://a"), "wrong_type"),
        (event(photos=[1]), "wrong_type"),
        (event(photos=list("abcd")), "too_many"),
        (event(occurred_at="yesterday"), "bad_time"),
        (event(occurred_at="2026-01-01T12:00:00"), "bad_time"),
        (event(occurred_at="2026-01-03T12:00:00Z"), "bad_time"),
        (event(occurred_at="0001-01-01T00:00:00+14:00"), "bad_time"),
    ],
)
def test_a_line_that_is_no_event_is_rejected_with_its_reason(line: Any, reason: str) -> None:
    with pytest.raises(EventError) as caught:
        _parse(line)
    assert caught.value.kind == reason
    assert caught.value.detail


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@given(st.binary() | st.dictionaries(st.sampled_from(list(event())), _json))
def test_whatever_comes_in_only_an_event_error_comes_out(value: Any) -> None:
    with contextlib.suppress(EventError):
        _parse(value)


@given(st.permutations([event(minute=m) for m in (0, 1, 2)] + [event(event_id="E-L1-9", minute=2)]))
def test_the_newest_event_wins_in_any_order(order: list[dict[str, Any]]) -> None:
    chosen = newest([_parse(item) for item in order])
    assert chosen["L1"].event_id == "E-L1-9", "at the same time the greater id wins"
