"""What events look like, for machines: JSON Schemas and an AsyncAPI document (pure).

Made from the code that reads events, so that neither can say what the other does not:
`tagger events schema` prints them, and docs/schemas holds them for the default limits.
"""

import json
from enum import StrEnum
from typing import Any, Final

from producer.events import (
    MAX_ID_CHARS,
    MAX_TAG_CHARS,
    MAX_TITLE_CHARS,
    EventType,
    Limits,
)

#: Of the contract: the second number grows with what is added, the first with what breaks.
VERSION: Final = "1.0.0"

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NO_NUL: Final = "^[^\\u0000]*$"
#: As Python's `str.isspace` has it; what \\s means is another thing in each dialect.
_SPACE: Final = (
    "\\u0009-\\u000d\\u001c-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a"
    "\\u2028\\u2029\\u202f\\u205f\\u3000"
)
_BASE64: Final = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_JSON: Final = "application/json"
_STRUCTURED: Final = "application/cloudevents+json"
_BATCHED: Final = "application/cloudevents-batch+json"


class Kind(StrEnum):
    """Which document."""

    EVENT = "event"
    CLOUDEVENT = "cloudevent"
    ASYNCAPI = "asyncapi"


def document(kind: Kind, limits: Limits) -> str:
    """One of the documents as JSON text."""
    made = {Kind.EVENT: event_schema, Kind.CLOUDEVENT: cloudevent_schema, Kind.ASYNCAPI: asyncapi}
    return json.dumps(made[kind](limits), indent=2)


def event_schema(limits: Limits) -> dict[str, Any]:
    """The JSON Schema of an event in our own fields."""
    return {
        "$schema": _DIALECT,
        "title": "A listing event",
        "description": "A listing as its seller left it. Created and updated carry all of it.",
        "type": "object",
        "required": ["event_id", "type", "occurred_at", "listing_id"],
        "properties": {
            "event_id": _text("The same event has the same id.", MAX_ID_CHARS),
            "type": {"enum": [*EventType]},
            "occurred_at": _time("Of a listing's events the newest wins."),
            "listing_id": _text("What the marketplace calls the listing.", MAX_ID_CHARS),
            "specversion": False,  # whatever has it is a CloudEvent
        },
        "if": {"properties": {"type": {"const": EventType.DELETED}}},
        "else": {"properties": _listing(limits), "required": ["photos"]},
    }


def cloudevent_schema(limits: Limits) -> dict[str, Any]:
    """The JSON Schema of an event as a CloudEvent in structured mode."""
    listing_id = _text("What the marketplace calls the listing.", MAX_ID_CHARS)
    encoded = {"properties": {"data_base64": {"type": "string"}}, "required": ["data_base64"]}
    data = {"type": "object", "required": ["photos"], "properties": _listing(limits)}
    return {
        "$schema": _DIALECT,
        "title": "A listing event as a CloudEvent",
        "type": "object",
        "required": ["specversion", "type", "source", "id", "time"],
        "properties": {
            "specversion": {"const": "1.0"},
            "type": {"enum": [*EventType]},
            "source": {
                **_text("Whose event it is: a URI reference.", MAX_ID_CHARS),
                "pattern": f"^[^{_SPACE}\\u0000]+$",
            },
            "id": {
                **_text("Unique within its source.", MAX_ID_CHARS),
                "pattern": _NO_NUL,
                "minLength": 1,
            },
            "time": _time("Of a listing's events the newest wins."),
            "subject": _or_null(listing_id),
            "datacontenttype": {"type": ["string", "null"], "pattern": _json_type()},
            "data": {
                "type": ["object", "null"],
                "properties": {
                    "listing_id": _or_null(
                        _text("Where there is no subject, or the same.", MAX_ID_CHARS)
                    )
                },
            },
            "data_base64": {
                "description": "Such data as bytes, where `data` is not there.",
                "type": ["string", "null"],
                "contentEncoding": "base64",
                "pattern": _BASE64,
            },
        },
        "anyOf": [
            {"properties": {"subject": {"type": "string"}}, "required": ["subject"]},
            {
                "properties": {
                    "data": {
                        "type": "object",
                        "properties": {"listing_id": {"type": "string"}},
                        "required": ["listing_id"],
                    }
                },
                "required": ["data"],
            },
            encoded,
        ],
        "allOf": [
            {"if": encoded, "then": {"properties": {"data": {"type": "null"}}}},
            {
                "if": {
                    "anyOf": [
                        {"properties": {"type": {"const": EventType.DELETED}}},
                        encoded,
                    ]
                },
                "else": {"properties": {"data": data}, "required": ["data"]},
            },
        ],
    }


def asyncapi(limits: Limits) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of all that takes events in."""
    messages = {
        "listingEvent": {
            "title": "A listing event",
            "contentType": _JSON,
            "payload": {"$ref": "#/components/schemas/ListingEvent"},
        },
        "cloudEvent": {
            "title": "A listing event as a CloudEvent",
            "contentType": _STRUCTURED,
            "payload": {"$ref": "#/components/schemas/ListingCloudEvent"},
        },
        "cloudEventBatch": {
            "title": "A batch of CloudEvents",
            "contentType": _BATCHED,
            "payload": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/ListingCloudEvent"},
            },
        },
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "listing-tagger",
            "version": VERSION,
            "description": "Listing events in: created, updated, deleted. docs/events.md has more.",
        },
        "channels": {
            "http": {
                "address": "/events",
                "title": "tagger intake http",
                "description": "Signed as Standard Webhooks says. 202 means committed.",
                "messages": _refs("cloudEvent", "cloudEventBatch"),
                "bindings": {"http": {"bindingVersion": "0.3.0"}},
            },
            "stream": {
                "address": "listing-events",
                "title": "tagger intake stream",
                "description": "A Redis Stream: the field `event` of an entry holds the JSON.",
                "messages": _refs("listingEvent", "cloudEvent"),
                "bindings": {"redis": {}},
            },
            "lines": {
                "address": None,
                "title": "tagger produce",
                "description": "A file or standard input with one JSON object a line.",
                "messages": _refs("listingEvent", "cloudEvent"),
            },
        },
        "operations": {
            f"take{channel.capitalize()}": {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{channel}"},
            }
            for channel in ("http", "stream", "lines")
        },
        "components": {
            "messages": messages,
            "schemas": {
                "ListingEvent": _inner(event_schema(limits)),
                "ListingCloudEvent": _inner(cloudevent_schema(limits)),
            },
        },
    }


def _listing(limits: Limits) -> dict[str, Any]:
    return {
        "title": {
            "type": ["string", "null"],
            "maxLength": MAX_TITLE_CHARS,
            "pattern": _NO_NUL,
        },
        "seller_tags": {
            "type": ["array", "null"],
            "maxItems": limits.max_seller_tags,
            "items": {"type": "string", "maxLength": MAX_TAG_CHARS, "pattern": _NO_NUL},
        },
        "photos": {
            "description": "Their URLs, in the seller's order. A bad one fails that photo alone.",
            "type": "array",
            "maxItems": limits.max_photos,
            "items": {"type": "string", "pattern": _NO_NUL},
        },
    }


def _text(description: str, most: int) -> dict[str, Any]:
    return {
        "description": description,
        "type": "string",
        "maxLength": most,
        "pattern": f"^[^\\u0000]*[^{_SPACE}\\u0000][^\\u0000]*$",
    }


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """CloudEvents' JSON format: an attribute that is null is not there."""
    return {**schema, "type": [schema["type"], "null"]}


def _time(description: str) -> dict[str, Any]:
    return {"description": description, "type": "string", "format": "date-time"}


def _json_type() -> str:
    """JSON's media types; patterns of JSON Schema know no upper and lower case but this way."""
    whole, other, suffix = (
        "".join(f"[{letter.upper()}{letter}]" if letter.isalpha() else letter for letter in name)
        for name in ("application/json", "text/json", "\\+json")
    )
    return f"^[{_SPACE}]*({whole}|{other}|[^;]*{suffix})[{_SPACE}]*(;|$)"


def _refs(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _inner(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema within a document, which says itself what dialect it is in."""
    return {name: value for name, value in schema.items() if name != "$schema"}
