"""An event as somebody wrote it down: one JSON object, ours or a CloudEvent (pure)."""

from datetime import datetime

from producer.envelope import from_envelope
from producer.events import Limits, ListingEvent, as_object, from_fields, read_json
from shared.errors import EventError


def parse(line: bytes, limits: Limits, now: datetime) -> ListingEvent:
    """The event of one line, read at `now`.

    Raises:
        EventError: the line is not an event; its `kind` is a code, its detail says why.
    """
    if len(line) > limits.max_event_bytes:
        raise EventError("too_large", f"{len(line)} bytes, at most {limits.max_event_bytes}")
    fields = as_object(read_json(line))
    # Every CloudEvent has it, and no field of ours is called so.
    read = from_envelope if "specversion" in fields else from_fields
    return read(fields, limits, now)
