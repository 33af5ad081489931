"""Listing events out of a Redis Stream: read by a consumer group, recorded, then acknowledged."""

import json
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

import structlog
from redis import Redis, RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from producer.consumer_group import Entry, Left, Member, refuses
from producer.intake import Intake
from producer.lines import Line
from shared.db import photos
from shared.db.retry import transient
from shared.db.session import DATABASE_ERRORS, in_words
from shared.domain.photo import Lane
from shared.errors import EventError, SetupError
from shared.settings import Settings
from shared.watchdog import Watchdog

log = structlog.get_logger()

T = TypeVar("T")

#: The field of an entry that holds the event.
FIELD: Final = "event"
#: Entries of one transaction, and how many bytes of them: as many as the largest one of the read
#: before lets expect.
_BATCH: Final = 100
_BATCH_BYTES: Final = 32 << 20
#: How much of an entry without that field is shown.
_SHOWN_BYTES: Final = 32 << 10
#: How often others' abandoned entries, and the backlog, are looked for.
_LOOK_S: Final = 5.0
_PAUSE_S: Final = 1.0
#: An entry whose reader died goes alone the next time, and nowhere after so many of them.
MAX_DEATHS: Final = 5
#: How long a transaction is tried before the entries are held on to anew.
_TRY_S: Final = 5.0


class _Stopped(Exception):  # not an error
    """`stop` was set while a server was away."""


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
        passing: bool = False,
    ) -> None:
        """Does nothing yet.

        Args:
            engine: where the rows are.
            client: where the stream is.
            settings: what an event may hold, and how long an entry may lie unacknowledged.
            stream: the stream's key; an empty one is made.
            group: the group's name; made if it is not there, to read from the beginning.
            consumer: what the group knows this process by, and no other that runs.
            passing: nobody comes again under that name; it leaves the group in the end.
        """
        self._intake = Intake(engine, settings, patience_s=_TRY_S)
        self._engine = engine
        self._settings = settings
        self._stream, self._group = stream, group
        self._member = Member(client, stream, group, consumer)
        self._passing = passing
        self._watchdog = Watchdog(self.longest_step_s(settings))
        self._well: bool | None = None
        self._full = False
        self._most = 1  #: entries of the next read

    @staticmethod
    def longest_step_s(settings: Settings) -> float:
        """How long one step, such as a transaction, may take before it counts as stuck."""
        return 4 * (settings.silence_s + settings.connect_timeout_s)

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set; outlives both servers' absence.

        Raises:
            DBAPIError: what time does not mend, such as a missing schema.
            SetupError: the stream's server refuses.
        """
        with suppress(_Stopped):
            self._follow(stop)
        if self._passing:
            with suppress(RedisError, OSError), self._watchdog.watching():
                self._member.leave()

    def _follow(self, stop: threading.Event) -> None:
        self._insist(self._member.join, stop)
        looked_at = float("-inf")
        full = alone = False
        while not stop.is_set():
            if time.monotonic() - looked_at >= _LOOK_S:
                full = self._insist(self._is_full, stop)
                self._tell(None)
                left: list[Left] = []
                if not full:
                    if not alone:
                        left = self._insist(self._left_by_namesake, stop)
                        alone = len(left) < _BATCH
                    left = left or self._insist(self._left_by_others, stop)
                    self._record_left(left, stop)
                if not left:
                    looked_at = time.monotonic()
            if full:
                stop.wait(_PAUSE_S)
            elif not stop.is_set():
                self._record(self._read(stop), stop)

    def _left_by_namesake(self) -> list[Left]:
        return self._member.left_by_namesake(_BATCH)

    def _left_by_others(self) -> list[Left]:
        return self._member.left_by_others(self._settings.stream_claim_s, _BATCH)

    def _read(self, stop: threading.Event) -> list[Entry]:
        entries, trimmed = self._insist(lambda: self._member.read(self._most), stop)
        if trimmed:
            self._tell_trimmed(trimmed)
        if entries:
            largest = max(1, *(entry.size for entry in entries))
            self._most = min(_BATCH, 2 * self._most, max(1, _BATCH_BYTES // largest))
        return entries

    def _record_left(self, left: Sequence[Left], stop: threading.Event) -> None:
        """Records entries whose last reader may have died of one of them, each alone."""
        if left:
            log.warning("stream.taken_over", stream=self._stream, entries=len(left))
        for one in left:
            if stop.is_set():
                break
            with self._giving_back([Entry(one.id, None, one.deaths)]):
                entry = self._take(one, stop)
            if entry:
                self._record([entry], stop)

    def _take(self, left: Left, stop: threading.Event) -> Entry | None:
        """Takes an entry in hand; None where another has it, or it was trimmed away."""
        mine = self._insist(lambda: self._member.take(left), stop)
        if mine and left.deaths >= MAX_DEATHS:
            return Entry(left.id, None, left.deaths)
        if not mine and self._insist(lambda: self._member.is_in_hand(left.id), stop):
            return None
        fields = self._insist(lambda: self._member.load(left.id), stop)
        if fields is not None:
            return Entry(left.id, fields, left.deaths) if mine else None
        self._tell_trimmed(1)
        self._insist(lambda: self._member.let_go(left.id), stop)
        return None

    def _record(self, entries: Sequence[Entry], stop: threading.Event) -> None:
        """Records entries and acknowledges them; gives them back when stopped before that."""
        if not entries:
            return
        lines = [self._line(entry) for entry in entries]
        with self._giving_back(entries):
            counts = self._insist(lambda: self._intake.record(lines), stop, entries)
        self._tell(None)
        self._insist(lambda: self._member.let_go(*(entry.id for entry in entries)), stop)
        if counts.rejected:
            log.warning("stream.rejected", stream=self._stream, reasons=counts.reasons)

    def _insist(
        self, step: Callable[[], T], stop: threading.Event, in_hand: Sequence[Entry] = ()
    ) -> T:
        """What a step returns, tried until both servers are there for it."""
        while True:
            with self._watchdog.watching():
                try:
                    return step()
                except DATABASE_ERRORS as error:
                    if not transient(error):
                        raise
                    self._tell(error)
                except (RedisError, OSError) as error:
                    if refuses(error):
                        raise SetupError(
                            f"the server of the stream {self._stream} refuses: {error};"
                            " Redis 6.2 or later, or Valkey, is needed"
                        ) from None
                    self._tell(error)
                with suppress(RedisError, OSError):
                    self._member.join()
                    # So that nobody else takes them for abandoned. It is no death.
                    self._member.keep(in_hand)
            if stop.wait(_PAUSE_S):
                raise _Stopped

    @contextmanager
    def _giving_back(self, entries: Sequence[Entry]) -> Generator[None]:
        """Gives entries back if the end that is coming is none of their doing."""
        try:
            yield
        except (_Stopped, SetupError, ProgrammingError):
            with suppress(RedisError, OSError), self._watchdog.watching():
                self._member.give_back(entries, self._settings.stream_claim_s)
            raise

    def _line(self, entry: Entry) -> Line:
        place = f"{self._stream}:{entry.id}"
        if entry.fields is None:
            died = f"read {entry.deaths} times, and its reader died each time; it is in the stream"
            error = EventError("undeliverable", died)
            return Line(place.encode(), place, 0, error, foreign=True)
        raw = entry.fields.get(FIELD.encode())
        if raw is not None:
            return Line(raw, place, len(raw))
        missing = EventError("missing_field", f"an entry holds its event in the field {FIELD}")
        return Line(_picture(entry.fields), place, entry.size, missing, foreign=True)

    def _is_full(self) -> bool:
        most = self._settings.max_photos_waiting
        with self._engine.connect() as connection:
            full = photos.count_waiting(connection, Lane.TAGGING, most=most + 1) > most
        if full != self._full:
            log.warning("stream.queue_full" if full else "stream.queue_has_room", most=most)
        self._full = full
        return full

    def _tell_trimmed(self, entries: int) -> None:
        log.error("stream.trimmed", stream=self._stream, entries=entries)

    def _tell(self, error: Exception | None) -> None:
        well = error is None
        if well != self._well:
            if error is None:
                log.info("stream.listening", stream=self._stream, group=self._group)
            else:
                log.warning("stream.servers_away", reason=_reason(error))
        self._well = well


def _picture(fields: Mapping[bytes, bytes]) -> bytes:
    """Names and values, as far as there is room."""
    room = _SHOWN_BYTES
    shown: dict[str, str] = {}
    for name, value in fields.items():
        if room <= 0:
            break
        shown[_text(name[:room])] = _text(value[: max(0, room - len(name))])
        room -= len(name) + len(value)
    return json.dumps(shown, ensure_ascii=False).encode()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _reason(error: Exception) -> str:
    """Which server is away, and what it or its absence says."""
    if isinstance(error, DBAPIError | PoolTimeout):
        return in_words(error)
    return f"Redis: {str(error).strip() or type(error).__name__}"
