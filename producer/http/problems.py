"""Why a request is refused, and how to do better: problem details of RFC 9457 (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from shared.errors import EventError, TaggerError

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of refusal."""

    status: int
    code: str
    title: str
    way_out: str
    headers: Mapping[str, str]


_LATER: Final = {"retry-after": "5"}
#: RFC 9110, 11.6.1: a 401 names what it wants.
_CHALLENGE: Final = {"www-authenticate": "StandardWebhooks"}

UNSIGNED = Problem(
    401,
    "unsigned",
    "The request carries no signature.",
    "Sign it as standardwebhooks.com says: webhook-id, webhook-timestamp, webhook-signature.",
    _CHALLENGE,
)
BAD_SIGNATURE = Problem(
    401,
    "bad_signature",
    "No signature fits the body and a key that is known here.",
    "Sign the bytes that are sent, with a key that is among TAGGER_WEBHOOK_SECRETS.",
    _CHALLENGE,
)
NOT_FOUND = Problem(404, "not_found", "Nothing is here.", "Send events to POST /events.", {})
METHOD = Problem(
    405, "method_not_allowed", "Events are posted.", "Send them with POST.", {"allow": "POST"}
)
TOO_SLOW = Problem(
    408, "too_slow", "The body did not arrive in time.", "Send it again, on a faster way.", {}
)
STALE = Problem(
    409,
    "stale_timestamp",
    "The signature is genuine, and its time is not now.",
    "Sign each attempt with the time it is made at; check both clocks.",
    {},
)
REPLAYED = Problem(
    409,
    "replayed",
    "Other content was taken under this webhook-id a short time ago.",
    "Give each message an id of its own; only its retries share it.",
    {},
)
TOO_LARGE = Problem(
    413,
    "body_too_large",
    "The body has more bytes than are read.",
    "Send fewer events at once, or raise TAGGER_MAX_BATCH_BYTES or TAGGER_MAX_EVENT_BYTES.",
    {},
)
TOO_MANY_EVENTS = Problem(
    413,
    "too_many_events",
    "The batch has more events than are taken at once.",
    "Send several batches, or raise TAGGER_INTAKE_BATCH_EVENTS.",
    {},
)
NOT_CLOUDEVENTS = Problem(
    415,
    "media_type",
    "The body is not of a media type that is read here.",
    "Send application/cloudevents+json, application/cloudevents-batch+json, or JSON with ce-"
    " headers; not compressed.",
    {"accept": "application/cloudevents+json, application/cloudevents-batch+json"},
)
UNSIGNED_ATTRIBUTES = Problem(
    415,
    "unsigned_attributes",
    "In binary mode the signature does not cover what the event says of itself.",
    "Send application/cloudevents+json, or set TAGGER_ALLOW_UNSIGNED_ATTRIBUTES if nobody can"
    " change headers on the way.",
    {"accept": "application/cloudevents+json, application/cloudevents-batch+json"},
)
BAD_EVENT = Problem(
    422,
    "bad_event",
    "The body is not an event that can be recorded.",
    "Correct it; docs/events.md says what an event is. Nothing of it was stored.",
    {},
)
QUEUE_FULL = Problem(
    429,
    "queue_full",
    "More photos wait than TAGGER_MAX_PHOTOS_WAITING.",
    "Come back later; more workers make it sooner.",
    {"retry-after": "30"},
)
TOO_BUSY = Problem(
    429, "too_many_requests", "Too many requests are at work.", "Come back later.", _LATER
)
UNEXPECTED = Problem(
    500,
    "unexpected",
    "Something that nobody thought of went wrong.",
    "The server's log says what. Sending it again does no harm.",
    {},
)
DATABASE_AWAY = Problem(
    503, "database_away", "Postgres does not take events now.", "Come back later.", _LATER
)
UNANSWERED = Problem(
    503,
    "not_known",
    "Postgres did not answer in time: the events may be recorded, or not.",
    "Send them again: what is known already changes nothing.",
    _LATER,
)


class RequestRefused(TaggerError):
    """The request is refused."""

    code: ClassVar[str] = "request_refused"

    def __init__(self, problem: Problem, detail: str = "") -> None:
        """`detail` says what is wrong with this very request; it never repeats its content."""
        super().__init__(detail)
        self.problem = problem

    @property
    def kind(self) -> str:
        """The code that clients see."""
        return self.problem.code

    def document(self) -> dict[str, Any]:
        """The problem details, as JSON has them."""
        document = {
            "type": f"urn:listing-tagger:problem:{self.kind}",
            "title": self.problem.title,
            "status": self.problem.status,
            "code": self.kind,
            "way_out": self.problem.way_out,
        }
        return document | ({"detail": self.detail} if self.detail else {})


class EventRefused(RequestRefused):
    """The request's only event cannot be recorded."""

    def __init__(self, error: EventError) -> None:
        super().__init__(BAD_EVENT, error.detail)
        self._kind = error.kind

    @property
    def kind(self) -> str:
        """The code that would stand in `rejected_event`."""
        return self._kind
