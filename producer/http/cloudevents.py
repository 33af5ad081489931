"""CloudEvents 1.0 over HTTP in all three modes, as listing events (pure).

The envelope's attributes become the event's fields, `data` carries the rest; docs/events.md has
the whole of it. https://github.com/cloudevents/spec, v1.0.2: the specification, its JSON format
and its HTTP binding.

The `cloudevents` SDK takes JSON that can be read in two ways, falls back to text where data is no
JSON, and has no batches.
"""

import base64
import binascii
import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from enum import Enum
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

from producer.events import EventType, Limits, ListingEvent, from_fields, read_json
from producer.http.problems import (
    NOT_CLOUDEVENTS,
    TOO_MANY_EVENTS,
    EventRefused,
    RequestRefused,
)
from shared.errors import EventError

#: Names in lower case, values as they came: ASGI's headers.
Headers = Sequence[tuple[bytes, bytes]]

_PREFIX: Final = b"ce-"
_CONTENT_TYPE: Final = b"content-type"
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class Mode(Enum):
    """How a request carries events."""

    BINARY = "attributes in headers, data in the body"
    STRUCTURED = "application/cloudevents+json"
    BATCHED = "application/cloudevents-batch+json"


@dataclass(frozen=True, slots=True)
class Received:
    """One event of a batch: what it says, or why it cannot be recorded."""

    raw: bytes
    event: ListingEvent | EventError


def mode(headers: Headers) -> Mode:
    """How a request with these headers carries events.

    Raises:
        RequestRefused: it carries none (`NOT_CLOUDEVENTS`).
    """
    counts = Counter(name for name, _ in headers)
    twice = [
        name.decode("latin-1")
        for name, count in counts.items()
        if count > 1 and (name == _CONTENT_TYPE or name.startswith(_PREFIX))
    ]
    if twice:
        raise RequestRefused(NOT_CLOUDEVENTS, f"the header {twice[0][:100]} stands twice")
    if dict(headers).get(b"content-encoding", b"identity").lower() != b"identity":
        raise RequestRefused(NOT_CLOUDEVENTS, "the body is compressed")
    media_type = _media_type(dict(headers).get(_CONTENT_TYPE, b"application/json"))
    for known in (Mode.STRUCTURED, Mode.BATCHED):
        if media_type == known.value:
            return known
    if b"ce-specversion" not in counts:
        raise RequestRefused(NOT_CLOUDEVENTS, "neither a CloudEvents media type nor ce- headers")
    if not _is_json(media_type):
        raise RequestRefused(NOT_CLOUDEVENTS, "the data is not JSON")
    return Mode.BINARY


def fingerprint(headers: Headers, body: bytes) -> bytes:
    """SHA-256 of all that a request says: its body, and attributes that are in headers."""
    attributes = sorted(item for item in headers if item[0].startswith(_PREFIX))
    return hashlib.sha256(repr(attributes).encode() + body).digest()


def read_one(
    headers: Headers, body: bytes, mode: Mode, limits: Limits, now: datetime
) -> ListingEvent:
    """The event of a request in binary or structured mode, read at `now`.

    Raises:
        EventRefused: it is none.
    """
    try:
        if mode is Mode.STRUCTURED:
            return _listing_event(_object(read_json(body)), limits, now)
        attributes: dict[str, Any] = {
            name.removeprefix(_PREFIX).decode("latin-1"): _header_text(value)
            for name, value in headers
            if name.startswith(_PREFIX)
        }
        # Data is the body; a header of that name is no attribute.
        attributes.pop("data_base64", None)
        attributes["data"] = read_json(body) if body else None
        return _listing_event(attributes, limits, now)
    except EventError as error:
        raise EventRefused(error) from None


def read_batch(body: bytes, limits: Limits, most: int, now: datetime) -> list[Received]:
    """The events of a batch, read at `now`, in their order.

    Raises:
        EventRefused: the body is not a JSON array; nothing can be said of its events.
        RequestRefused: it holds more than `most` events (`TOO_MANY_EVENTS`).
    """
    try:
        items = _array(read_json(body))
        if len(items) > most:
            raise RequestRefused(TOO_MANY_EVENTS, f"{len(items)} events, at most {most}")
        return [_received(item, limits, now) for item in items]
    except EventError as error:
        raise EventRefused(error) from None
    except RecursionError:
        # Python reads JSON that is nested a little deeper than what it writes.
        raise EventRefused(EventError("not_json", "nested too deeply")) from None


def _received(item: object, limits: Limits, now: datetime) -> Received:
    raw = json.dumps(item, ensure_ascii=False).encode("utf-8", "backslashreplace")
    if len(raw) > limits.max_event_bytes:
        detail = f"{len(raw)} bytes, at most {limits.max_event_bytes}"
        return Received(raw, EventError("too_large", detail))
    try:
        return Received(raw, _listing_event(_object(item), limits, now))
    except EventError as error:
        return Received(raw, error)


def _array(value: object) -> list[object]:
    if not isinstance(value, list):
        raise EventError("not_an_array", "a batch is a JSON array of events")
    return cast("list[object]", value)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EventError("not_an_object", "an event is one JSON object")
    return cast("dict[str, Any]", value)


def _listing_event(attributes: dict[str, Any], limits: Limits, now: datetime) -> ListingEvent:
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
    return from_fields(fields, limits, now)


def _attribute(attributes: dict[str, Any], name: str) -> str:
    value = attributes.get(name)
    if value is None or value == "":
        raise EventError("missing_field", f"the attribute {name} is missing")
    if not isinstance(value, str):
        raise EventError("wrong_type", f"the attribute {name} must be a string")
    return value


def _data(attributes: dict[str, Any]) -> dict[str, Any]:
    content_type = attributes.get("datacontenttype")
    if content_type is not None and not (
        isinstance(content_type, str) and _is_json(_essence(content_type))
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


def _header_text(value: bytes) -> str:
    """An attribute out of its header (HTTP binding, 3.1.3.2): unquoted, then percent-decoded."""
    quoted = _QUOTED.fullmatch(value)
    if quoted:
        value = re.sub(rb"\\(.)", rb"\1", quoted[1])
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise EventError("not_utf8", "a ce- header is not percent-encoded UTF-8") from None


def _media_type(header: bytes) -> str:
    """A content type without its parameters.

    Raises:
        RequestRefused: its text is not in UTF-8.
    """
    parsed = Message()
    parsed["content-type"] = header.decode("latin-1")
    if str(parsed.get_param("charset", "utf-8")).lower() not in ("utf-8", "utf8", "us-ascii"):
        raise RequestRefused(NOT_CLOUDEVENTS, "JSON is in UTF-8")
    return _essence(header.decode("latin-1"))


def _essence(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")
