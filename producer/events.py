"""Listing events, and what makes fields one (pure)."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from shared.errors import EventError

MAX_ID_CHARS = 200
MAX_TITLE_CHARS = 1_000
MAX_TAG_CHARS = 200
#: Clocks differ; an event further ahead would shut out all honest ones until then.
MAX_AHEAD = timedelta(days=1)


class EventType(StrEnum):
    """What happened to the listing. Created and updated both carry its whole state."""

    CREATED = "listing.created"
    UPDATED = "listing.updated"
    DELETED = "listing.deleted"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one event may carry."""

    max_event_bytes: int
    max_photos: int
    max_seller_tags: int


@dataclass(frozen=True, slots=True)
class ListingEvent:
    """A listing as its seller left it at `occurred_at`.

    `photos` are URLs as given, each once, in the seller's order. They are checked when
    they are fetched: a bad one fails that photo, not the listing.
    """

    event_id: str
    type: EventType
    occurred_at: datetime
    listing_id: str
    title: str
    seller_tags: tuple[str, ...]
    photos: tuple[str, ...]

    @property
    def order(self) -> tuple[datetime, bytes]:
        """Of two events of a listing the greater one wins."""
        return self.occurred_at, self.event_id.encode()


def read_json(raw: bytes) -> object:
    """What a JSON text says (RFC 8259), read so that nobody can read it differently.

    Raises:
        EventError: it is no JSON, or a name stands twice in an object.
    """
    try:
        # Not the bytes: of those json.loads would take UTF-16 too, and halves of surrogate pairs.
        return json.loads(
            raw.decode("utf-8-sig"),
            parse_constant=_no_constant,
            parse_float=_finite,
            object_pairs_hook=_each_name_once,
        )
    except UnicodeDecodeError as error:
        raise EventError("not_utf8", f"byte {error.start} is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise EventError("not_json", str(error)[:200]) from None


def as_object(value: object) -> dict[str, Any]:
    """An event's JSON value.

    Raises:
        EventError: it is no object.
    """
    if not isinstance(value, dict):
        raise EventError("not_an_object", "an event is one JSON object")
    return cast("dict[str, Any]", value)


def from_fields(
    fields: dict[str, Any],
    limits: Limits,
    now: datetime,
    *,
    max_event_id_chars: int = MAX_ID_CHARS,
) -> ListingEvent:
    """The event that fields say, named as in a line of ours.

    Raises:
        EventError: they are not an event; its `kind` is a code, its detail says why.
    """
    try:
        kind = EventType(fields.get("type", ""))
    except ValueError:
        raise EventError("unknown_type", f"type must be one of {', '.join(EventType)}") from None
    gone = kind is EventType.DELETED
    photos = [] if gone else _texts(fields, "photos", limits.max_photos, limits.max_event_bytes)
    tags = (
        []
        if gone
        else _texts(fields, "seller_tags", limits.max_seller_tags, MAX_TAG_CHARS, default=[])
    )
    return ListingEvent(
        event_id=_text(fields, "event_id", max_event_id_chars),
        type=kind,
        occurred_at=_time(fields, "occurred_at", now),
        listing_id=_text(fields, "listing_id", MAX_ID_CHARS),
        title="" if gone else _text(fields, "title", MAX_TITLE_CHARS, default=""),
        seller_tags=tuple(dict.fromkeys(tags)),
        photos=tuple(dict.fromkeys(photos)),
    )


def newest(events: Iterable[ListingEvent]) -> dict[str, ListingEvent]:
    """The newest event of each listing."""
    chosen: dict[str, ListingEvent] = {}
    for event in events:
        known = chosen.get(event.listing_id)
        if known is None or event.order > known.order:
            chosen[event.listing_id] = event
    return chosen


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return names


def _text(fields: dict[str, Any], name: str, limit: int, default: str | None = None) -> str:
    value = default if fields.get(name) is None else fields[name]
    if value is None:
        raise EventError("missing_field", f"{name} is missing")
    if not isinstance(value, str):
        raise EventError("wrong_type", f"{name} must be a string")
    if default is None and not value.strip():
        raise EventError("missing_field", f"{name} is empty")
    return _storable(name, value, limit)


def _texts(
    fields: dict[str, Any], name: str, most: int, limit: int, default: list[str] | None = None
) -> list[str]:
    value = default if fields.get(name) is None else fields[name]
    if value is None:
        raise EventError("missing_field", f"{name} is missing")
    if not isinstance(value, list):
        raise EventError("wrong_type", f"{name} must be a list of strings")
    items = cast("list[object]", value)
    if len(items) > most:
        raise EventError("too_many", f"{len(items)} {name}, at most {most}")
    checked: list[str] = []
    for item in items:
        if not isinstance(item, str):
            raise EventError("wrong_type", f"{name} must hold strings only")
        checked.append(_storable(name, item, limit))
    return checked


def _storable(name: str, value: str, limit: int) -> str:
    """Text that Postgres can keep literally: no NUL, no half of a surrogate pair."""
    if len(value) > limit:
        raise EventError("too_long", f"{name} has {len(value)} characters, at most {limit}")
    if "\0" in value:
        raise EventError("nul_character", f"{name} holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise EventError("bad_unicode", f"{name} holds a lone surrogate") from None
    return value


def _time(fields: dict[str, Any], name: str, now: datetime) -> datetime:
    raw = _text(fields, name, 64)
    try:
        moment = datetime.fromisoformat(raw)
        if moment.tzinfo is None:
            raise EventError("bad_time", f"{name} has no time zone")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise EventError("bad_time", f"{name} is not an ISO 8601 time") from None
    if moment > now + MAX_AHEAD:
        raise EventError("bad_time", f"{name} lies in the future")
    return moment
