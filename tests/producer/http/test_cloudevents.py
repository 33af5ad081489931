"""CloudEvents of all three modes become listing events, and others are refused for a reason."""

import base64
import contextlib
import json
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from producer.events import EventType, Limits, ListingEvent
from producer.http.cloudevents import Mode, fingerprint, mode, read_batch, read_one
from producer.http.problems import EventRefused, RequestRefused
from shared.errors import EventError
from tests.marketplace import NOON
from tests.sender import BATCHED, STRUCTURED, envelope

LIMITS = Limits(max_event_bytes=4000, max_photos=3, max_seller_tags=3)
_STRUCTURED = [(b"content-type", STRUCTURED.encode())]

Raw = list[tuple[bytes, bytes]]


def _read(value: Any, headers: Raw = _STRUCTURED) -> ListingEvent:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_one(headers, body, mode(headers), LIMITS, NOON)


def _headers(**attributes: str) -> Raw:
    attributes = {
        "specversion": "1.0",
        "type": "listing.deleted",
        "source": "/shop",
        "id": "1",
        "time": "2026-01-01T12:00:00Z",
        "subject": "L1",
    } | attributes
    return [(f"ce-{name}".encode(), value.encode("latin-1")) for name, value in attributes.items()]


def test_the_envelope_and_its_data_become_the_fields_of_an_event() -> None:
    assert _read(envelope(title="Canon", seller_tags=["a"], photos=["p", "q"])) == ListingEvent(
        event_id="https://shop.test E-L1-0",
        type=EventType.CREATED,
        occurred_at=NOON,
        listing_id="L1",
        title="Canon",
        seller_tags=("a",),
        photos=("p", "q"),
    )


def test_extension_attributes_and_other_data_are_left_alone() -> None:
    data: dict[str, Any] = {"photos": [], "event_id": "x", "type": "y", "price": 7}
    event = _read(envelope(data=data, traceparent="00-ab", dataschema="https://shop.test/v2"))
    assert event.event_id == "https://shop.test E-L1-0"


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": None, "data": {"listing_id": "L1", "photos": []}},
        {"data": {"listing_id": "L1", "photos": []}},
        {"datacontenttype": "application/json; charset=utf-8"},
        {"datacontenttype": "application/vnd.shop.listing+json"},
        {"data": None, "data_base64": base64.b64encode(b'{"photos": []}').decode()},
        {"type": "listing.deleted", "data": None},
        {"time": "2026-01-01T13:00:00.123456789+01:00"},
    ],
)
def test_the_same_listing_may_be_named_in_other_ways(changes: dict[str, Any]) -> None:
    assert _read(envelope(**changes)).listing_id == "L1"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"specversion": None}, "unknown_version"),
        ({"specversion": 1.0}, "unknown_version"),
        ({"type": None}, "unknown_type"),
        ({"type": ["listing.created"]}, "unknown_type"),
        ({"type": "com.shop.sold", "data": "text"}, "unknown_type"),
        ({"id": None}, "missing_field"),
        ({"id": ""}, "missing_field"),
        ({"id": 7}, "wrong_type"),
        ({"id": "x" * 201}, "too_long"),
        ({"source": "x" * 201}, "too_long"),
        ({"source": None}, "missing_field"),
        ({"source": "a b"}, "bad_source"),
        ({"source": "a\u2003b"}, "bad_source"),
        ({"id": "a\0b"}, "nul_character"),
        ({"id": "a\ud800"}, "bad_unicode"),
        ({"time": None}, "missing_field"),
        ({"time": 1767268800}, "wrong_type"),
        ({"time": "2026-01-01"}, "bad_time"),
        ({"time": "2026-02-01T00:00:00Z"}, "bad_time"),
        ({"subject": None}, "missing_field"),
        ({"subject": 7}, "wrong_type"),
        ({"data": {"listing_id": "L2", "photos": []}}, "contradiction"),
        ({"data": None}, "missing_field"),
        ({"data": "{}"}, "bad_data"),
        ({"data": [1]}, "bad_data"),
        ({"data": {"photos": "p"}}, "wrong_type"),
        ({"data": {"photos": list("abcd")}}, "too_many"),
        ({"datacontenttype": "text/xml"}, "bad_data"),
        ({"datacontenttype": 7}, "bad_data"),
        ({"data_base64": "e30="}, "bad_data"),
        ({"data": None, "data_base64": "e30"}, "bad_data"),
        ({"data": None, "data_base64": 7}, "bad_data"),
        ({"data": None, "data_base64": "eA=="}, "not_json"),
    ],
)
def test_an_envelope_that_is_no_listing_event_is_refused(
    changes: dict[str, Any], kind: str
) -> None:
    with pytest.raises(EventRefused) as caught:
        _read(envelope(**changes))
    assert caught.value.kind == kind
    assert caught.value.detail
    [item] = read_batch(json.dumps([envelope(**changes)]).encode(), LIMITS, 9, NOON)
    assert isinstance(item.event, EventError)
    assert item.event.kind == kind, "and in a batch it is rejected for the same reason"


def test_headers_are_unquoted_and_percent_decoded_once() -> None:
    headers = _headers(id="%E2%82%AC%2520", subject='"a \\"b\\" %41"')
    assert _read(b"", headers).event_id == "/shop €%20"
    assert _read(b"", headers).listing_id == 'a "b" A'


@pytest.mark.parametrize("value", ["%FF", "caf\xe9", "%ED%A0%80"])
def test_a_header_that_is_not_utf8_is_refused(value: str) -> None:
    with pytest.raises(EventRefused) as caught:
        _read(b"", _headers(subject=value))
    assert caught.value.kind == "not_utf8"


def test_data_in_a_header_is_no_data() -> None:
    for name in ("data", "data_base64"):
        with pytest.raises(EventRefused, match="photos"):
            _read(b"", _headers(type="listing.created", **{name: "eyJwaG90b3MiOltdfQ=="}))


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (STRUCTURED, Mode.STRUCTURED),
        ("Application/CloudEvents+JSON; charset=UTF-8", Mode.STRUCTURED),
        (BATCHED, Mode.BATCHED),
        (f'{BATCHED};charset="utf-8"', Mode.BATCHED),
        ("application/json", Mode.BINARY),
        ("application/vnd.shop+json;v=1", Mode.BINARY),
    ],
)
def test_the_content_type_says_how_events_are_carried(content_type: str, expected: Mode) -> None:
    assert mode([*_headers(), (b"content-type", content_type.encode())]) is expected


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"application/json")],
        [*_headers(), (b"content-type", b"application/xml")],
        [*_headers(), (b"content-type", b"application/json; charset=utf-16")],
        [*_headers(), (b"content-type", b"application/json; charset*=x''y")],
        [*_headers(), (b"content-type", b"")],
        [*_headers(), (b"content-type", b"\xff")],
        [*_headers(), (b"content-encoding", b"gzip")],
        [*_headers(), *_headers()],
        _STRUCTURED * 2,
        [(b"content-type", b"application/cloudevents+xml")],
        [(b"content-type", b"application/cloudevents-batch+xml")],
    ],
)
def test_what_is_not_cloudevents_in_json_is_refused_by_its_headers(headers: Raw) -> None:
    with pytest.raises(RequestRefused) as caught:
        mode(headers)
    assert caught.value.problem.status == 415


def test_a_batch_keeps_its_order_and_each_event_as_it_came() -> None:
    body = json.dumps([envelope("L1"), envelope("L2", time=None), [], envelope("L3")]).encode()
    first, second, third, last = read_batch(body, LIMITS, 4, NOON)
    assert isinstance(first.event, ListingEvent)
    assert isinstance(last.event, ListingEvent)
    assert (first.event.listing_id, last.event.listing_id) == ("L1", "L3")
    assert isinstance(second.event, EventError)
    assert json.loads(second.raw) == envelope("L2", time=None)
    assert isinstance(third.event, EventError)
    with pytest.raises(RequestRefused) as caught:
        read_batch(body, LIMITS, 3, NOON)
    assert caught.value.kind == "too_many_events"


def test_one_event_of_a_batch_has_the_limit_of_an_event() -> None:
    [item] = read_batch(json.dumps([envelope(x="y" * 5000)]).encode(), LIMITS, 1, NOON)
    assert isinstance(item.event, EventError)
    assert item.event.kind == "too_large"


def test_a_fingerprint_covers_the_body_and_the_attributes_in_headers() -> None:
    seen = {
        fingerprint(headers, body)
        for headers in (_headers(), _headers(id="2"), _headers(ext="1"), _STRUCTURED)
        for body in (b"", b"{}")
    }
    assert len(seen) == 8
    again = [(b"user-agent", b"x"), *reversed(_headers())]
    assert fingerprint(again, b"{}") in seen, "other headers and their order do not matter"


_text = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_ids = _text.filter(str.strip).map(lambda text: text[:50])
_data = st.fixed_dictionaries(
    {"photos": st.lists(_text, max_size=3)},
    optional={"title": _text, "seller_tags": st.lists(_text, max_size=3)},
)


@given(_ids.filter(lambda text: text.isprintable()), _ids, _data, st.booleans())
def test_what_the_official_sdk_sends_is_read_alike_in_both_modes(
    subject: str, id_: str, data: dict[str, Any], named: bool
) -> None:
    attributes: dict[str, Any] = {
        "type": "listing.updated",
        "source": "https://shop.test/é",
        "id": id_,
        "time": NOON,
        "specversion": "1.0",
        "subject": subject,
    } | ({"datacontenttype": "application/json"} if named else {})
    event = CloudEvent(attributes, data)

    def read(message: HTTPMessage) -> ListingEvent:
        headers = [(k.lower().encode(), v.encode()) for k, v in message.headers.items()]
        return read_one(headers, message.body, mode(headers), LIMITS, NOON)

    structured, binary = read(to_structured_event(event)), read(to_binary_event(event))
    assert structured == binary
    assert structured.event_id == f"https://shop.test/é {id_}"
    assert structured.listing_id == subject
    assert structured.photos == tuple(dict.fromkeys(data["photos"]))


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
_names = st.sampled_from([*envelope(), "data_base64", "datacontenttype"])


@given(st.binary() | st.dictionaries(_names, _json).map(lambda changed: envelope() | changed))
def test_whatever_body_comes_in_only_a_refusal_comes_out(value: Any) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    with contextlib.suppress(RequestRefused):
        _read(body)
    for batch in (body, b"[" + body + b"]"):
        with contextlib.suppress(RequestRefused):
            assert len(read_batch(batch, LIMITS, 9, NOON)) < 9


_names_of_headers = st.sampled_from(
    [b"content-type", b"content-encoding", *(name for name, _ in _headers())]
)


@given(st.lists(st.tuples(_names_of_headers, st.binary())), st.binary())
def test_whatever_headers_come_in_only_a_refusal_comes_out(headers: Raw, body: bytes) -> None:
    whole = [*dict(_headers() + headers).items()]
    with contextlib.suppress(RequestRefused):
        read_one(whole, body, mode(whole), LIMITS, NOON)
    with contextlib.suppress(RequestRefused):
        mode(headers)
