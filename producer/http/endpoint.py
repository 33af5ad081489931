"""One request's way from its headers to its answer: checked, read, believed, parsed, recorded.

Whatever is refused is refused before it costs much: by headers first, by the body's size while it
comes, by its signature before a parser sees it. Nothing of it is stored.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from producer.events import ListingEvent
from producer.http.backlog import Backlog
from producer.http.cloudevents import Headers, Mode, fingerprint, mode, read_batch, read_one
from producer.http.problems import (
    QUEUE_FULL,
    UNANSWERED,
    UNSIGNED_ATTRIBUTES,
    RequestRefused,
)
from producer.http.recorder import Delivery, Recorder, Submission
from producer.http.signatures import Seal, check_time, names, read_seal, verify
from producer.http.uploads import Room, Upload
from producer.intake import limits
from producer.lines import Line
from producer.rejections import Rejection
from shared.settings import Settings


class Endpoint:
    """Takes events."""

    def __init__(
        self, settings: Settings, keys: Sequence[bytes], recorder: Recorder, backlog: Backlog
    ) -> None:
        """Takes nothing yet; without `keys` requests need no signature."""
        self._settings = settings
        self._keys = keys
        self._recorder = recorder
        self._backlog = backlog
        self._room = Room(
            requests=settings.max_requests,
            bytes_=settings.max_requests * self._most_bytes(Mode.BATCHED),
        )

    def upload(self, request: Request) -> Upload:
        """The body of a request."""
        return Upload(request.receive, self._room)

    async def take(self, headers: Headers, upload: Upload) -> dict[str, Any]:
        """What a request's events became, once that is committed.

        Raises:
            RequestRefused: the request is; none of its events is stored.
        """
        seal = read_seal(headers) if self._keys else None
        how = mode(headers)
        if seal and how is Mode.BINARY and not self._settings.allow_unsigned_attributes:
            raise RequestRefused(UNSIGNED_ATTRIBUTES)
        if self._backlog.full:
            raise RequestRefused(QUEUE_FULL)
        try:
            submission, rejected = await self._read(headers, upload, seal, how)
        finally:
            upload.forget()
        await self._recorded(submission)
        outcome = submission.outcome.result()
        return {
            "recorded": outcome.recorded,
            "unchanged": outcome.unchanged,
            "rejected": rejected,
        }

    async def _read(
        self, headers: Headers, upload: Upload, seal: Seal | None, how: Mode
    ) -> tuple[Submission, list[dict[str, Any]]]:
        """What is to be recorded, and which events of a batch are rejected and why."""
        body = await upload.read(
            declared=dict(headers).get(b"content-length"),
            most=self._most_bytes(how),
            deadline_s=self._settings.body_deadline_s,
        )
        now = datetime.now(UTC)
        delivery = None
        if seal:
            keys = verify(seal, body, self._keys)
            check_time(seal, now, self._settings.webhook_tolerance_s)
            delivery = Delivery(names(seal, keys), fingerprint(headers, body))
        bounds = limits(self._settings)
        if how is not Mode.BATCHED:
            event = await asyncio.to_thread(read_one, headers, body, how, bounds, now)
            return Submission(delivery, [event], []), []
        most = self._settings.intake_batch_events
        received = await asyncio.to_thread(read_batch, body, bounds, most, now)
        source = f"http:{seal.id if seal else 'unsigned'}"
        events: list[ListingEvent] = []
        rejections: list[Rejection] = []
        answer: list[dict[str, Any]] = []
        for index, item in enumerate(received):
            if isinstance(item.event, ListingEvent):
                events.append(item.event)
                continue
            rejections.append(
                Rejection(Line(item.raw, f"{source}:{index}", len(item.raw)), item.event)
            )
            answer.append({"index": index, "code": item.event.kind, "reason": item.event.detail})
        return Submission(delivery, events, rejections), answer

    async def _recorded(self, submission: Submission) -> None:
        """Waits for the commit."""
        self._room.enter()
        # Its place is free when it is recorded, even if nobody waits for that any more.
        submission.outcome.add_done_callback(lambda _: self._room.leave())
        self._recorder.submit(submission)
        try:
            await asyncio.wait_for(
                asyncio.shield(asyncio.wrap_future(submission.outcome)),
                self._settings.answer_deadline_s,
            )
        except TimeoutError:
            raise RequestRefused(UNANSWERED) from None

    def _most_bytes(self, how: Mode) -> int:
        """How long the body of a request may be."""
        one = self._settings.max_event_bytes
        return max(one, self._settings.max_batch_bytes) if how is Mode.BATCHED else one
