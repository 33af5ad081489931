"""Listing events out of a Redis Stream: read by a consumer group, recorded, then acknowledged."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# redis-py's answers to stream commands carry no types; `_Entry` is where they meet ours.

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from redis import Redis, RedisError, ResponseError
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from producer.intake import Intake
from producer.lines import Line
from shared.db import photos
from shared.db.retry import transient
from shared.db.session import DATABASE_ERRORS, in_words
from shared.domain.photo import Lane
from shared.errors import EventError
from shared.queue import check_url
from shared.settings import Settings
from shared.watchdog import Watchdog

log = structlog.get_logger()

#: The field of an entry that holds the event.
FIELD: Final = "event"
#: Entries of one transaction: at the largest that an event may be, 100 MB.
_BATCH: Final = 100
#: How long one read waits for something new.
_BLOCK_S: Final = 1.0
#: How often others' abandoned entries, and the backlog, are looked for.
_LOOK_S: Final = 5.0
_PAUSE_S: Final = 1.0
#: An entry whose reader died goes alone the next time, and nowhere after so many of them.
MAX_DELIVERIES: Final = 5
#: How long a transaction is tried before the entries are held on to anew.
_TRY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str
    fields: Mapping[bytes, bytes]
    deliveries: int = 1  #: this one included


class StreamIntake:
    """Records the entries of one stream. Any number of processes may read it in one group.

    An entry is acknowledged after the commit, so it is recorded at least once; and twice is as
    once. While Postgres is away, or too many photos wait, entries stay where they are.
    """

    def __init__(
        self,
        engine: Engine,
        client: Redis,
        settings: Settings,
        *,
        stream: str,
        group: str,
        consumer: str,
    ) -> None:
        """Does nothing yet.

        Args:
            engine: where the rows are.
            client: where the stream is.
            settings: what an event may hold, and how long an entry may lie unacknowledged.
            stream: the stream's key; an empty one is made.
            group: the group's name; made if it is not there, to read from the beginning.
            consumer: what the group knows this process by.
        """
        self._intake = Intake(engine, settings, patience_s=_TRY_S)
        self._engine = engine
        self._client = client
        self._settings = settings
        self._stream, self._group, self._consumer = stream, group, consumer
        self._watchdog = Watchdog(self.longest_step_s(settings))
        self._well: bool | None = None

    @staticmethod
    def longest_step_s(settings: Settings) -> float:
        """How long one step, such as a transaction, may take before it counts as stuck."""
        return 4 * (settings.silence_s + settings.connect_timeout_s)

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set; outlives both servers' absence."""
        while not stop.is_set():
            try:
                self._follow(stop)
            except (*DATABASE_ERRORS, RedisError, OSError) as error:
                self._tell(error)
                stop.wait(_PAUSE_S)

    def _follow(self, stop: threading.Event) -> None:
        with self._watchdog.watching():
            self._join()
            own = self._read("0", _BATCH)
        while own and not stop.is_set():  # what this consumer had in hand when it ended last
            self._record_suspects(own, stop)
            with self._watchdog.watching():
                own = self._read("0", _BATCH)
        looked_at = float("-inf")
        full = False
        while not stop.is_set():
            with self._watchdog.watching():
                if time.monotonic() - looked_at >= _LOOK_S:
                    full = self._is_full(full)
                    looked_at = time.monotonic()
                    abandoned = [] if full else self._take_over()
                else:
                    abandoned = []
                self._tell(None)
            if full:
                stop.wait(_PAUSE_S)
                continue
            self._record_suspects(abandoned, stop)
            with self._watchdog.watching():
                new = self._read(">", _BATCH, block_ms=round(_BLOCK_S * 1000))
            self._record(new, stop)

    def _join(self) -> None:
        try:
            self._client.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _read(self, after: str, count: int, block_ms: int | None = None) -> list[_Entry]:
        answer: Any = self._client.xreadgroup(
            self._group, self._consumer, {self._stream: after}, count=count, block=block_ms
        )
        return [entry for entries in answer.values() for entry in _entries(entries)]

    def _take_over(self) -> list[_Entry]:
        """What another process had in hand for too long."""
        idle_ms = round(self._settings.stream_claim_s * 1000)
        answer: Any = self._client.xautoclaim(
            self._stream, self._group, self._consumer, idle_ms, count=_BATCH
        )
        trimmed = answer[2] if len(answer) > 2 else ()  # servers before 7.0 do not say
        if trimmed:
            log.warning("stream.trimmed", stream=self._stream, entries=len(trimmed))
        return _entries(answer[1])

    def _record_suspects(self, entries: Sequence[_Entry], stop: threading.Event) -> None:
        """Records entries whose last reader may have died of one of them."""
        if not entries:
            return
        counts = self._deliveries(entries)
        log.warning("stream.taken_over", stream=self._stream, entries=len(entries))
        for entry in entries:
            self._record([_Entry(entry.id, entry.fields, counts.get(entry.id, 1))], stop)

    def _deliveries(self, entries: Sequence[_Entry]) -> dict[str, int]:
        answer: Any = self._client.xpending_range(
            self._stream,
            self._group,
            min=entries[0].id,
            max=entries[-1].id,
            count=len(entries),
            consumername=self._consumer,
        )
        return {item["message_id"].decode(): item["times_delivered"] for item in answer}

    def _record(self, entries: Sequence[_Entry], stop: threading.Event) -> None:
        """Records entries and acknowledges them; gives them up when stopped before that."""
        if not entries:
            return
        lines = [self._line(entry) for entry in entries]
        while True:
            with self._watchdog.watching():
                try:
                    counts = self._intake.record(lines)
                    break
                except DATABASE_ERRORS as error:
                    if not transient(error):
                        raise
                    self._tell(error)
                # So that nobody else takes them for abandoned. It does not count as a delivery.
                self._client.xclaim(
                    self._stream,
                    self._group,
                    self._consumer,
                    min_idle_time=0,
                    message_ids=[entry.id for entry in entries],
                    justid=True,
                )
            if stop.wait(_PAUSE_S):
                return
        self._tell(None)
        with self._watchdog.watching():
            self._client.xack(self._stream, self._group, *(entry.id for entry in entries))
        if counts.rejected:
            log.warning("stream.rejected", stream=self._stream, reasons=counts.reasons)

    def _line(self, entry: _Entry) -> Line:
        raw = entry.fields.get(FIELD.encode())
        error = None
        if raw is None:
            shown = {_text(name): _text(value) for name, value in entry.fields.items()}
            raw = json.dumps(shown, ensure_ascii=False).encode()
            error = EventError("missing_field", f"an entry holds its event in the field {FIELD}")
        elif entry.deliveries > MAX_DELIVERIES:
            error = EventError(
                "undeliverable", f"read {entry.deliveries - 1} times, and its reader died each time"
            )
        return Line(raw, f"{self._stream}:{entry.id}", len(raw), error)

    def _is_full(self, was: bool) -> bool:
        most = self._settings.max_photos_waiting
        with self._engine.connect() as connection:
            full = photos.count_waiting(connection, Lane.TAGGING, most=most + 1) > most
        if full != was:
            log.warning("stream.queue_full" if full else "stream.queue_has_room", most=most)
        return full

    def _tell(self, error: Exception | None) -> None:
        well = error is None
        if well != self._well:
            if error is None:
                log.info("stream.listening", stream=self._stream, group=self._group)
            else:
                log.warning("stream.servers_away", reason=_reason(error))
        self._well = well


def connect(settings: Settings) -> Redis:
    """A client of the server that has the stream; makes no connection.

    Raises:
        SetupError: TAGGER_STREAM_URL is not a URL of such a server.
    """
    url = (settings.stream_url or settings.redis_url).get_secret_value()
    check_url("TAGGER_STREAM_URL" if settings.stream_url else "REDIS_URL", url)
    return Redis.from_url(
        url,
        # Reads wait for entries, and must not be taken for silence.
        socket_timeout=settings.redis_socket_timeout_s + _BLOCK_S,
        socket_connect_timeout=settings.connect_timeout_s,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),  # `run` repeats, and says so
        legacy_responses=False,  # a read is a mapping, whatever the protocol
    )


def _entries(answer: Any) -> list[_Entry]:
    # Of an entry that was trimmed while somebody held it, only the id is left.
    return [_Entry(id_.decode(), fields or {}) for id_, fields in answer if id_ is not None]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _reason(error: Exception) -> str:
    """Which server is away, and what it or its absence says."""
    if isinstance(error, DBAPIError | PoolTimeout):
        return in_words(error)
    return f"Redis: {str(error).strip() or type(error).__name__}"
