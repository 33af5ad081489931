"""A marketplace's end of the HTTP intake, by the official SDKs, and the intake's process."""

# pyright: reportUnknownMemberType=false

import base64
import http.client
import json
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks import Webhook

from dev.fleet import Fleet
from dev.processes import HOST
from dev.processes import wait_for as holds_within
from shared.errors import SetupError

SOURCE: Final = "https://shop.example.com"
_BATCHED: Final = "application/cloudevents-batch+json"
_START_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Message:
    """A request's body: the same in all its tries, as its id is."""

    id: str
    media_type: str
    body: bytes
    events: int  #: in it


@dataclass(frozen=True, slots=True)
class Answer:
    """What the intake said."""

    status: int
    retry_after_s: float | None
    body: bytes

    @property
    def counts(self) -> dict[str, Any]:
        """What became of the events, where it took them."""
        return json.loads(self.body)


def event(
    kind: str, listing: str, id_: str, at: datetime, data: Mapping[str, Any] | None
) -> CloudEvent:
    """`listing.KIND` of a listing."""
    attributes = {
        "type": f"listing.{kind}",
        "source": SOURCE,
        "id": id_,
        "time": at,
        "subject": listing,
    }
    return CloudEvent(attributes, None if data is None else dict(data))


def one(event_: CloudEvent) -> Message:
    """A request with one event, in structured mode."""
    message = to_structured_event(event_)
    media_type = message.headers["content-type"]
    return Message(f"msg_{event_.get_id()}", media_type, bytes(message.body), 1)


def batch(id_: str, events: Sequence[CloudEvent]) -> Message:
    """A request with many events; the SDK has no batched mode, and writes each of them."""
    written = map(JSONFormat().write, events)
    return Message(id_, _BATCHED, b"[" + b",".join(written) + b"]", len(events))


class Client:
    """Signs requests and sends them over one connection, which it opens again where need be."""

    def __init__(self, intake: "IntakeProcess") -> None:
        """Opens nothing yet."""
        self._webhook = Webhook(intake.secret)
        self._connection = http.client.HTTPConnection(HOST, intake.port, timeout=60)

    def post(self, message: Message) -> Answer:
        """Sends a message once, signed at this moment.

        Raises:
            OSError: it got no answer.
            HTTPException: the same.
        """
        now = datetime.now(UTC)
        headers = {
            "content-type": message.media_type,
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(message.id, now, message.body.decode()),
        }
        try:
            self._connection.request("POST", "/events", message.body, headers)
            response = self._connection.getresponse()
            after = response.getheader("retry-after")
            return Answer(response.status, float(after) if after else None, response.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


class IntakeProcess:
    """A `tagger intake http` of a fleet, always at the same port and with the same key."""

    NAME: Final = "intake"

    def __init__(self, fleet: Fleet) -> None:
        """Starts nothing yet."""
        self._fleet = fleet
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port: int = probe.getsockname()[1]

    def start(self) -> int:
        """Starts it, without waiting for it; returns its process id."""
        self._fleet.environment["TAGGER_WEBHOOK_SECRETS"] = self.secret
        return self._fleet.start(self.NAME, "intake", "http", "--port", str(self.port))

    def until_ready(self) -> None:
        """Waits until events can be recorded.

        Raises:
            SetupError: it ended, or took too long.
        """

        def ready() -> bool:
            if (code := self._fleet.exit_code(self.NAME)) is not None:
                raise SetupError(f"tagger intake http: exit code {code}; see {self._fleet.folder}")
            connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == http.client.OK
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                return False
            finally:
                connection.close()

        if not holds_within(ready, _START_S):
            raise SetupError(f"tagger intake http is not ready; see {self._fleet.folder}")
