"""A CloudEvents 1.0 envelope as a listing event (pure).

The envelope's attributes become the event's fields, `data` carries the rest; docs/events.md has
the whole of it. https://github.com/cloudevents/spec, v1.0.2: the specification and its JSON
format.
"""

import base64
import binascii
import re
from datetime import datetime
from typing import Any, Final, cast

from producer.events import (
    MAX_ID_CHARS,
    EventType,
    Limits,
    ListingEvent,
    from_fields,
    read_json,
)
from shared.errors import EventError

#: A source, a space and an id.
MAX_EVENT_ID_CHARS: Final = 2 * MAX_ID_CHARS + 1


def from_envelope(attributes: dict[str, Any], limits: Limits, now: datetime) -> ListingEvent:
    """The event of a CloudEvent, its attributes and `data` in one object as in its JSON format.

    Raises:
        EventError: it is none; `kind` is a code, the detail says why.
    """
    if attributes.get("specversion") != "1.0":
        raise EventError("unknown_version", 'specversion must be "1.0"')
    known = attributes.get("type") in [*EventType]
    data = _data(attributes) if known else {}
    subject, listing_id = attributes.get("subject"), data.get("listing_id")
    if subject is not None and listing_id is not None and subject != listing_id:
        raise EventError("contradiction", "subject and data.listing_id name two listings")
    id_, source = (_attribute(attributes, name) for name in ("id", "source"))
    if re.search(r"\s", source):
        raise EventError("bad_source", "source is a URI reference, which holds no white space")
    _attribute(attributes, "time")
    fields = {name: data.get(name) for name in ("title", "seller_tags", "photos")}
    fields |= {
        # An id is unique within its source only; no source holds a space.
        "event_id": f"{source} {id_}",
        "type": attributes["type"] if known else "",
        "occurred_at": attributes["time"],
        "listing_id": listing_id if subject is None else subject,
    }
    return from_fields(fields, limits, now, max_event_id_chars=MAX_EVENT_ID_CHARS)


def _attribute(attributes: dict[str, Any], name: str) -> str:
    value = attributes.get(name)
    if value is None or value == "":
        raise EventError("missing_field", f"the attribute {name} is missing")
    if not isinstance(value, str):
        raise EventError("wrong_type", f"the attribute {name} must be a string")
    if len(value) > MAX_ID_CHARS:
        raise EventError(
            "too_long", f"the attribute {name} has more than {MAX_ID_CHARS} characters"
        )
    return value


def _data(attributes: dict[str, Any]) -> dict[str, Any]:
    content_type = attributes.get("datacontenttype")
    if content_type is not None and not (
        isinstance(content_type, str) and is_json(essence(content_type))
    ):
        raise EventError("bad_data", "datacontenttype must be JSON")
    data, encoded = attributes.get("data"), attributes.get("data_base64")
    if encoded is not None:
        if data is not None or not isinstance(encoded, str):
            raise EventError("bad_data", "data_base64 must be text, and data not beside it")
        try:
            data = read_json(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            raise EventError("bad_data", "data_base64 is not base64") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise EventError("bad_data", "data must be a JSON object")
    return cast("dict[str, Any]", data)


def essence(content_type: str) -> str:
    """A content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Whether data of this type is JSON (RFC 6839, section 3.1)."""
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")
