"""Rings for rows that are due, and takes back rows whose lease ran out."""

import select
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import cast

import psycopg2.extensions
import structlog
from sqlalchemy import Engine

from producer.batch_size import BatchSize
from shared.db import listings, photos, training_runs
from shared.db.decisions import Decisions
from shared.db.retry import transient
from shared.db.session import DATABASE_ERRORS, in_words
from shared.domain.photo import TRAINING_QUEUE, Lane
from shared.errors import Crashed
from shared.queue import BrokerError, Doorbell
from shared.settings import Settings
from shared.watchdog import Watchdog

log = structlog.get_logger()

#: How long it waits for a full queue to drain a little.
_FULL_S = 0.05
#: Between tries while a server is away or refuses, doubled each time.
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 5.0
#: Rounds are at least so far apart: a message of three photos costs as much as one of thirty.
_GATHER_S = 0.06


@dataclass(frozen=True, slots=True)
class Rung:
    """What one round did."""

    photos: int
    full: bool  #: a queue is as deep as it may be, and more photos may be due
    waited: int = 0  #: messages that were in the queue before


class Relay:
    """Moves due photos to their queues. Any number of relays may run at once."""

    def __init__(
        self, engine: Engine, doorbell: Doorbell, settings: Settings, *, idle_s: float = 1.0
    ) -> None:
        """Does nothing yet.

        Args:
            engine: where the rows are.
            doorbell: where messages go.
            settings: batch sizes, depths and leases.
            idle_s: how long it sleeps when nobody wakes it; also how late it notices that a
                lease has ended or a retry is due.
        """
        self._idle_s = idle_s
        self._engine = engine
        self._doorbell = doorbell
        self._settings = settings
        self._decisions = Decisions()
        self._sizes = {
            lane: BatchSize(most=settings.batch_photos, patience_s=self._lease_s(lane) / 4)
            for lane in Lane
        }
        self._well: bool | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._watchdog = Watchdog(self.longest_round_s(settings))

    @staticmethod
    def longest_round_s(settings: Settings) -> float:
        """How long a round may take before it counts as stuck."""
        return 4 * (settings.silence_s + settings.connect_timeout_s)

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set; outlives both servers' absence."""
        while not stop.is_set():
            try:
                self._listen(stop)
            except (*DATABASE_ERRORS, psycopg2.Error, *BrokerError) as error:
                if isinstance(error, DATABASE_ERRORS) and not transient(error):
                    raise
                if self._well is not False:
                    log.warning("relay.servers_away", reason=_reason(error))
                self._well = False
                # Of several connections the others are as dead, and nobody would notice.
                self._doorbell.hang_up()
                stop.wait(self._pause_s)
                self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)

    def _listen(self, stop: threading.Event) -> None:
        """Rounds on one listening connection, until something fails."""
        with closing(_listener(self._engine)) as listener:
            swept = 0.0
            while not stop.is_set():
                with self._watchdog.watching():
                    began = time.monotonic()
                    if time.monotonic() - swept >= self._idle_s:
                        self.sweep()
                        swept = time.monotonic()
                    rung = self.ring()
                if not self._well:
                    log.info("relay.listening")
                    self._well = True
                    self._pause_s = _FIRST_PAUSE_S
                _wait(listener, _FULL_S if rung.full else self._idle_s)
                # Photos that become due in between travel together.
                stop.wait(max(0.0, began + _GATHER_S - time.monotonic()))

    def ring(self) -> Rung:
        """Sends messages for all that is due, as far as the queues have room."""
        new = self._ring_lane(Lane.TAGGING)
        rungs = [new, self._ring_lane(Lane.SLOW)]
        # While new photos wait for workers, what is left of the machine is theirs.
        rungs.append(Rung(0, full=True) if new.waited else self._ring_lane(Lane.BACKFILL))
        total, full = sum(rung.photos for rung in rungs), any(rung.full for rung in rungs)
        self._ring_training()
        return Rung(total, full)

    def sweep(self) -> None:
        """Makes rows due again whose lease ran out, and fails the hopeless ones."""
        most = {
            "max_crashes": self._settings.max_crashes,
            "max_losses": self._settings.max_losses,
        }
        with self._engine.begin() as connection:
            unclaimed, crashed = photos.sweep(connection, **most)
            expired_runs = training_runs.sweep(connection)
        with self._engine.begin() as connection:
            hopeless = photos.listings_to_give_up(connection, **most)
            if hopeless:
                listings.lock(connection, hopeless)
                given_up = photos.give_up(connection, hopeless, **most)
                listings.publish(connection, given_up, self._decisions)
                log.error("relay.given_up", photos=len(given_up), code=Crashed.code)
        if unclaimed or crashed or expired_runs:
            log.warning(
                "relay.swept", unclaimed=unclaimed, crashed=crashed, training_runs=expired_runs
            )

    def _ring_lane(self, lane: Lane) -> Rung:
        size, lease_s = self._sizes[lane], self._lease_s(lane)
        depth = self._settings.queue_depth_messages
        if lane is Lane.SLOW:
            depth = min(depth, self._settings.slow_queue_depth_messages)
        waiting = self._doorbell.depth(lane)
        now = time.monotonic()
        size.look(waiting, now)
        room = depth - waiting
        if room <= 0:
            return Rung(0, full=True, waited=waiting)
        with self._engine.begin() as connection:
            alone = photos.mark_queued(connection, lane, alone=True, limit=room, lease_s=lease_s)
            limit = size.photos * (room - len(alone))
            due = photos.mark_queued(connection, lane, limit=limit, lease_s=lease_s)
        full = len(due) == limit
        if full:
            size.more_is_due(now)
        self._send(lane, [[id_] for id_ in alone] + size.split(due, room - len(alone), now))
        return Rung(len(alone) + len(due), full=full, waited=waiting)

    def _lease_s(self, lane: Lane) -> float:
        """How long a message may wait; batches of the slow lane take long."""
        slow_s = 3 * self._settings.slow_fetch_deadline_s if lane is Lane.SLOW else 0
        return self._settings.queued_lease_s + slow_s

    def _send(self, lane: Lane, batches: list[list[int]]) -> None:
        for done, ids in enumerate(batches):
            try:
                self._doorbell.ring_photos(lane, ids)
            except BrokerError:
                unsent = [id_ for batch in batches[done:] for id_ in batch]
                with self._engine.begin() as connection:
                    photos.unqueue(connection, unsent)
                raise

    def _ring_training(self) -> None:
        if self._doorbell.depth(TRAINING_QUEUE):
            return  # nobody has heard the last message yet
        with self._engine.begin() as connection:
            due = training_runs.mark_queued(connection, lease_s=self._settings.queued_lease_s)
        for run_id in due:
            self._doorbell.ring_training(run_id)
        if due:
            log.info("relay.rung", queue=TRAINING_QUEUE, runs=due)


def _reason(error: Exception) -> str:
    """Which server is away, and what it or its absence says."""
    if isinstance(error, DATABASE_ERRORS):
        return in_words(error)
    if isinstance(error, psycopg2.Error):
        return f"Postgres: {str(error).strip() or type(error).__name__}"
    return f"Valkey: {str(error).strip() or type(error).__name__}"


def _listener(engine: Engine) -> psycopg2.extensions.connection:
    """A connection of its own that hears when photos become due.

    Never from or to the pool: who got it next would hoard notifications unread.
    """
    pooled = engine.raw_connection()
    pooled.detach()
    listener = cast("psycopg2.extensions.connection", pooled.dbapi_connection)
    listener.autocommit = True
    with listener.cursor() as cursor:
        cursor.execute(f"LISTEN {photos.DUE_CHANNEL}")
    return listener


def _wait(listener: psycopg2.extensions.connection, seconds: float) -> None:
    """Sleeps until a notification comes, at most so long."""
    if not listener.notifies:
        select.select([listener], [], [], seconds)
        listener.poll()
    listener.notifies.clear()
