"""Requests' events into rows: those that wait at the same time share a transaction."""

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from producer.events import ListingEvent
from producer.http import deliveries
from producer.http.problems import DATABASE_AWAY, REPLAYED, RequestRefused
from producer.intake import Intake
from producer.rejections import Rejection
from shared.db.retry import retrying
from shared.db.session import in_words
from shared.settings import Settings
from shared.watchdog import Watchdog

log = structlog.get_logger()

#: While one transaction commits, the next one is made.
THREADS: Final = 2
#: A broken deadlock is tried again at once; a server that is away is left to the client.
_PATIENCE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a signed request is known by."""

    names: Sequence[str]  #: see `signatures.names`
    content_sha256: bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a request's events."""

    recorded: int
    unchanged: int  #: older than what is known, or known already


@dataclass(frozen=True, slots=True)
class Submission:
    """The events of one request, and where its outcome is awaited."""

    delivery: Delivery | None  #: None where requests are not signed
    events: Sequence[ListingEvent]
    rejected: Sequence[Rejection]
    outcome: Future[Recorded] = field(default_factory=Future[Recorded])

    @property
    def size(self) -> int:
        """How many events it brings to a transaction."""
        return len(self.events) + len(self.rejected)


class Recorder:
    """Commits submissions, in threads of its own."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        """Starts the threads; `engine` must have a connection for each of `THREADS`."""
        self._engine = engine
        self._settings = settings
        self._waiting: queue.SimpleQueue[Submission | None] = queue.SimpleQueue()
        self._watchdog = Watchdog(4 * (settings.silence_s + settings.connect_timeout_s))
        self._threads = [
            threading.Thread(target=self._work, daemon=True, name=f"recorder-{number}")
            for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, submission: Submission) -> None:
        """Has it recorded. Its outcome is set after the commit, and only then.

        The outcome raises `RequestRefused`: `REPLAYED` or `DATABASE_AWAY`; nothing is stored.
        """
        self._waiting.put(submission)

    def close(self) -> None:
        """Waits until all that was submitted is recorded."""
        self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        intake = Intake(self._engine, self._settings)
        while (first := self._waiting.get()) is not None:
            self._record(intake, self._group(first))
        self._waiting.put(None)  # for the next thread

    def _group(self, first: Submission) -> list[Submission]:
        """Those that wait, up to a transaction's size."""
        group, size = [first], first.size
        while size < self._settings.intake_batch_events:
            try:
                following = self._waiting.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._waiting.put(None)
                break
            group.append(following)
            size += following.size
        return group

    def _record(self, intake: Intake, group: list[Submission]) -> None:
        try:
            with self._watchdog.watching():
                outcomes = retrying(lambda: self._transaction(intake, group), for_s=_PATIENCE_S)
        except Exception as error:  # noqa: BLE001  # a thread that ends would leave all unanswered
            self._fail(intake, group, error)
            return
        for submission, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, RequestRefused):
                submission.outcome.set_exception(outcome)
            else:
                submission.outcome.set_result(outcome)

    def _fail(self, intake: Intake, group: list[Submission], error: Exception) -> None:
        if isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError):
            log.warning("intake.database_away", reason=in_words(error), requests=len(group))
            error = RequestRefused(DATABASE_AWAY)
        elif len(group) > 1:
            # Only the request that is to blame fails.
            for submission in group:
                self._record(intake, [submission])
            return
        for submission in group:
            submission.outcome.set_exception(error)

    def _transaction(
        self, intake: Intake, group: list[Submission]
    ) -> list[Recorded | RequestRefused]:
        contents: dict[str, bytes] = {}
        for submission in group:
            if submission.delivery:
                for name in submission.delivery.names:
                    contents.setdefault(name, submission.delivery.content_sha256)
        with self._engine.begin() as connection:
            # Deliveries before listings: nobody waits for anybody in a ring.
            window_s = replay_window_s(self._settings)
            taken = deliveries.take(connection, contents, window_s) if contents else set[str]()
            accepted = [
                submission.delivery is None
                or all(
                    name in taken and contents[name] == submission.delivery.content_sha256
                    for name in submission.delivery.names
                )
                for submission in group
            ]
            written = intake.write(
                connection,
                [e for s, ok in zip(group, accepted, strict=True) if ok for e in s.events],
                [r for s, ok in zip(group, accepted, strict=True) if ok for r in s.rejected],
            )
        # The same event in two requests is recorded once, by the one that came first.
        applied = {id(event) for event in written.applied}
        return [
            _counted(submission, applied) if ok else RequestRefused(REPLAYED)
            for submission, ok in zip(group, accepted, strict=True)
        ]


def replay_window_s(settings: Settings) -> float:
    """How long a signature may come again: it may lie ahead of our clock as far as behind it."""
    return 2 * settings.webhook_tolerance_s


def _counted(submission: Submission, applied: set[int]) -> Recorded:
    recorded = sum(id(event) in applied for event in submission.events)
    return Recorded(recorded=recorded, unchanged=len(submission.events) - recorded)
