"""A marketplace that sends its events as signed CloudEvents."""

import base64
import hmac
import http.client
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from dev.fleet import Fleet
from tests.marketplace import event
from tests.waiting import wait_until

SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, no more").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another key of thirty-two bytes..").decode()

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"

#: So that a busy machine's pauses end nobody's waiting for a lock.
PATIENT = {"lock_timeout_s": "100", "statement_timeout_s": "100", "answer_deadline_s": "100"}

_numbers = itertools.count(1)


def envelope(listing: str = "L1", **changes: Any) -> dict[str, Any]:
    """A listing event as a CloudEvent; None leaves an attribute out."""
    data = {
        name: changes.pop(name) for name in ("title", "seller_tags", "photos") if name in changes
    }
    line = event(listing, **data, minute=changes.pop("minute", 0))
    whole: dict[str, Any] = {
        "specversion": "1.0",
        "type": line["type"],
        "source": "https://shop.test",
        "id": line["event_id"],
        "time": line["occurred_at"],
        "subject": listing,
        "data": {name: line[name] for name in ("title", "seller_tags", "photos")},
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


def signature(
    body: bytes, webhook_id: str, at: datetime | None = None, secret: str = SECRET
) -> dict[str, str]:
    """The headers that another implementation signs a body with."""
    at = at or datetime.now(UTC)
    try:
        signed = Webhook(secret).sign(webhook_id, at, body.decode())
    except UnicodeDecodeError:  # the library signs text only
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{webhook_id}.{int(at.timestamp())}.".encode() + body
        signed = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signed,
    }


@dataclass(frozen=True)
class Answer:
    """What the intake said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Its body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Why it refused."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return self.json["code"]


@dataclass(frozen=True)
class Sender:
    """Sends to one intake, each request on a connection of its own."""

    url: str
    secret: str | None = SECRET
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def address(self) -> tuple[str, int]:
        """Where the intake listens."""
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def post(
        self,
        body: bytes | dict[str, Any] | Sequence[Any],
        content_type: str | None = None,
        *,
        webhook_id: str | None = None,
        at: datetime | timedelta | None = None,
        **headers: str | None,
    ) -> Answer:
        """Sends a body; `a_b="x"` is a header `a-b: x`, None leaves one out.

        `at` is when it was signed, or how long from now.
        """
        at = datetime.now(UTC) + at if isinstance(at, timedelta) else at
        if not isinstance(body, bytes):
            content_type = content_type or (STRUCTURED if isinstance(body, dict) else BATCHED)
            body = json.dumps(body).encode()
        sent: dict[str, str | None] = {"content-type": content_type, **self.headers}
        if self.secret:
            sent |= signature(body, webhook_id or f"msg_{next(_numbers)}", at, self.secret)
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", "/events", body, {k: v for k, v in sent.items() if v})

    def get(self, path: str) -> Answer:
        """What stands under a path."""
        return self.request("GET", path, None, {})

    def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        """Sends any request."""
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())
        finally:
            connection.close()


def start_intake(fleet: Fleet, name: str = "intake", **settings: str) -> Sender:
    """Starts an intake process with further settings; returns who sends to it, once it is ready."""
    fleet.environment |= {"TAGGER_WEBHOOK_SECRETS": SECRET} | {
        f"TAGGER_{key.upper()}": value for key, value in settings.items()
    }
    fleet.start(name, "intake", "http", "--port", "0")
    ports: list[int] = []

    def listening() -> bool:
        assert fleet.exit_code(name) is None, fleet.log(name)
        records = [json.loads(line) for line in fleet.log(name).splitlines()]
        ports.extend(line["port"] for line in records if line["event"] == "intake.listening")
        return bool(ports)

    wait_until(listening)
    sender = Sender(f"http://127.0.0.1:{ports[-1]}")
    wait_until(lambda: sender.get("/readyz").status == 200)
    return sender
