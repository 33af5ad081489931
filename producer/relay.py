"""Rings for rows that are due, and takes back rows whose lease ran out."""

import select
import threading
import time
from dataclasses import dataclass

import psycopg2.extensions
import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from shared.db import listings, photos, training_runs
from shared.db.models import Decisions
from shared.domain.photo import TRAINING_QUEUE, Lane
from shared.queue import BrokerError, Doorbell
from shared.settings import Settings

log = structlog.get_logger()

#: How long the relay sleeps when nobody wakes it; also how late a lease's end is noticed.
_IDLE_S = 1.0
#: How long it waits for a full queue to drain a little.
_FULL_S = 0.05
_TROUBLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Rung:
    """What one round did."""

    photos: int
    full: bool  #: a queue is as deep as it may be and more photos are due


class Relay:
    """Moves due photos to their queues. Any number of relays may run at once."""

    def __init__(self, engine: Engine, doorbell: Doorbell, settings: Settings) -> None:
        self._engine = engine
        self._doorbell = doorbell
        self._settings = settings
        self._decisions = Decisions()

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set; outlives both servers' absence."""
        trouble = False
        while not stop.is_set():
            try:
                self._listen(stop)
            except (DBAPIError, psycopg2.Error, *BrokerError) as error:
                if not trouble:
                    log.warning("relay.servers_away", error=type(error).__name__)
                trouble = True
                stop.wait(_TROUBLE_S)
            else:
                trouble = False

    def _listen(self, stop: threading.Event) -> None:
        """Rounds on one listening connection, until something fails."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as listener:
            listener.exec_driver_sql(f"LISTEN {photos.DUE_CHANNEL}")
            swept = 0.0
            log.info("relay.listening")
            while not stop.is_set():
                if time.monotonic() - swept >= _IDLE_S:
                    self.sweep()
                    swept = time.monotonic()
                rung = self.ring()
                _wait(listener, _FULL_S if rung.full else _IDLE_S)

    def ring(self) -> Rung:
        """Sends messages for all that is due, as far as the queues have room."""
        total, full = 0, False
        for lane in Lane:
            rung = self._ring_lane(lane)
            total += rung.photos
            full = full or rung.full
        self._ring_training()
        return Rung(total, full)

    def sweep(self) -> None:
        """Makes rows due again whose lease ran out, and fails the hopeless ones."""
        most = self._settings.max_crashes
        with self._engine.begin() as connection:
            unclaimed, crashed = photos.sweep(connection, max_crashes=most)
            expired_runs = training_runs.sweep(connection)
        with self._engine.begin() as connection:
            hopeless = photos.listings_to_give_up(connection, max_crashes=most)
            if hopeless:
                listings.lock(connection, hopeless)
                given_up = photos.give_up(connection, hopeless, max_crashes=most)
                listings.publish(connection, hopeless, self._decisions)
                log.error("relay.given_up", photos=given_up, code="crashed")
        if unclaimed or crashed or expired_runs:
            log.warning(
                "relay.swept", unclaimed=unclaimed, crashed=crashed, training_runs=expired_runs
            )

    def _ring_lane(self, lane: Lane) -> Rung:
        size = self._settings.batch_photos
        sent = 0
        while True:
            room = self._settings.queue_depth_messages - self._doorbell.depth(lane)
            if room <= 0:
                return Rung(sent, full=True)
            with self._engine.begin() as connection:
                due = photos.mark_queued(
                    connection, lane, limit=size * room, lease_s=self._settings.queued_lease_s
                )
            together = [id_ for id_, alone in due if not alone]
            batches = [together[i : i + size] for i in range(0, len(together), size)]
            batches += [[id_] for id_, alone in due if alone]
            self._send(lane, batches)
            sent += len(due)
            if len(due) < size * room:
                return Rung(sent, full=False)

    def _send(self, lane: Lane, batches: list[list[int]]) -> None:
        for done, ids in enumerate(batches):
            try:
                self._doorbell.ring_photos(lane, ids)
            except BrokerError:
                unsent = [id_ for batch in batches[done:] for id_ in batch]
                with self._engine.begin() as connection:
                    photos.unqueue(connection, unsent, due_in_s=_TROUBLE_S)
                raise

    def _ring_training(self) -> None:
        with self._engine.begin() as connection:
            due = training_runs.mark_queued(connection, lease_s=self._settings.queued_lease_s)
        for run_id in due:
            self._doorbell.ring_training(run_id)
        if due:
            log.info("relay.rung", queue=TRAINING_QUEUE, runs=due)


def _wait(listener: Connection, seconds: float) -> None:
    """Sleeps until a notification comes, at most so long."""
    raw = listener.connection.driver_connection
    assert isinstance(raw, psycopg2.extensions.connection)  # noqa: S101  # the engine's driver
    if not raw.notifies:
        select.select([raw], [], [], seconds)
        raw.poll()
    raw.notifies.clear()
