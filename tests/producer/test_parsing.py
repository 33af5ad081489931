"""A line is an event in our own fields, or a CloudEvent; both say the same."""

import json

import pytest

from producer.events import EventType, Limits
from producer.parsing import parse
from shared.errors import EventError
from tests.marketplace import NOON, event
from tests.sender import envelope

LIMITS = Limits(max_event_bytes=2000, max_photos=3, max_seller_tags=3)


def test_a_cloudevent_in_a_line_is_the_event_that_it_is_over_http() -> None:
    parsed = parse(json.dumps(envelope("L7", title="A lens")).encode(), LIMITS, NOON)
    assert (parsed.listing_id, parsed.title, parsed.type) == ("L7", "A lens", EventType.CREATED)
    assert parsed.event_id.startswith("https://shop.test ")


def test_a_line_that_names_a_specversion_is_held_to_it() -> None:
    with pytest.raises(EventError) as raised:
        parse(json.dumps(event() | {"specversion": "0.3"}).encode(), LIMITS, NOON)
    assert raised.value.kind == "unknown_version"
