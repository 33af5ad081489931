"""CloudEvents 1.0 over HTTP in all three modes, as listing events (pure).

https://github.com/cloudevents/spec, v1.0.2: the HTTP binding.

The `cloudevents` SDK takes JSON that can be read in two ways, falls back to text where data is no
JSON, and has no batches.
"""

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

from producer.envelope import essence, from_envelope, is_json
from producer.events import Limits, ListingEvent, as_object, read_json
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
    if not is_json(media_type):
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
            return from_envelope(as_object(read_json(body)), limits, now)
        attributes: dict[str, Any] = {
            name.removeprefix(_PREFIX).decode("latin-1"): _header_text(value)
            for name, value in headers
            if name.startswith(_PREFIX)
        }
        # Data is the body; a header of that name is no attribute.
        attributes.pop("data_base64", None)
        attributes["data"] = read_json(body) if body else None
        return from_envelope(attributes, limits, now)
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
        return Received(raw, from_envelope(as_object(item), limits, now))
    except EventError as error:
        return Received(raw, error)


def _array(value: object) -> list[object]:
    if not isinstance(value, list):
        raise EventError("not_an_array", "a batch is a JSON array of events")
    return cast("list[object]", value)


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
    return essence(header.decode("latin-1"))
