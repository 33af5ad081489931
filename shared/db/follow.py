"""Follows the search feed into an index, or into flags, from where it stopped last."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from sqlalchemy import Connection, Engine, text

from shared.db import feed_cursors, search_feed
from shared.db.retry import transient
from shared.db.session import DATABASE_ERRORS, in_words
from shared.errors import BatchRefused, IndexAway
from shared.settings import Settings
from shared.watchdog import Watchdog

log = structlog.get_logger()

BATCH: Final = 500
#: Of a batch's documents as JSON; what is in front of an index may not take any number of them.
MAX_BATCH_BYTES: Final = 5_000_000
_IDLE_S: Final = 0.25
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Entry:
    """The newest document of a listing, or its end."""

    listing_id: str
    doc_version: int
    document: dict[str, Any] | None  #: None: the listing is gone


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that is not taken, whatever is done."""

    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a follower came."""

    entries: int = 0
    refused: int = 0  #: documents that were not taken
    again: bool = False  #: nothing was done, but the next step may do it

    def __add__(self, more: "Progress") -> "Progress":
        return Progress(self.entries + more.entries, self.refused + more.refused)


class Projection(Protocol):
    """What is made of documents: an index, or flags."""

    @property
    def name(self) -> str:
        """What its cursor is kept under."""
        ...

    def prepare(self, connection: Connection) -> Callable[[], None] | None:
        """Looks whether it is there; before each batch.

        Returns:
            What makes it, empty, where it is not there. The feed is followed from its start then.

        Raises:
            IndexAway: it does not answer now; what is returned raises it too.
            SetupError: it never will, as things are set up.
        """
        ...

    def apply(self, connection: Connection, entries: Sequence[Entry]) -> list[Refusal]:
        """Takes documents in, one of each listing. Doing it twice, or too late, does no harm.

        Args:
            connection: the transaction that moves the cursor.
            entries: what is new.

        Raises:
            BatchRefused: it may take fewer of them; never where there is only one.
            IndexAway: it cannot take them now; nothing is lost if they come again.
        """
        ...


class Follower:
    """Keeps one projection up to date. Of several at once of the same one works."""

    def __init__(self, engine: Engine, projection: Projection) -> None:
        self._engine = engine
        self._projection = projection
        self._prepared = False
        self._limit = self._fewest = BATCH

    @staticmethod
    def longest_step_s(settings: Settings) -> float:
        """How long a step may take before it counts as stuck."""
        return 4 * (settings.silence_s + settings.connect_timeout_s)

    def run(self, stop: threading.Event, *, longest_step_s: float) -> None:
        """Works until `stop` is set; outlives the absence of Postgres and of the index.

        A step that takes longer ends the process: see `Watchdog`.
        """
        watchdog = Watchdog(longest_step_s)
        pause_s, well = _FIRST_PAUSE_S, True
        while not stop.is_set():
            try:
                with watchdog.watching():
                    done = self.step()
            except (*DATABASE_ERRORS, IndexAway) as error:
                if isinstance(error, DATABASE_ERRORS) and not transient(error):
                    raise
                if well:
                    reason = in_words(error) if isinstance(error, DATABASE_ERRORS) else str(error)
                    log.warning("follower.away", projection=self._projection.name, reason=reason)
                well = self._prepared = False
                stop.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            if done.again:
                continue
            if not well:
                log.info("follower.back", projection=self._projection.name)
            pause_s, well = _FIRST_PAUSE_S, True
            if not done.entries:
                stop.wait(_IDLE_S)

    def catch_up(self) -> Progress:
        """Works until nothing is left, in turns with others that are at work.

        Raises:
            IndexAway: the index does not answer, or another follower does not let go.
            SetupError: see `Projection.prepare`.
        """
        total = Progress()
        while (done := self.step(wait=True)).entries or done.again:
            total += done
        return total

    def step(self, *, wait: bool = False) -> Progress:
        """One batch, unless another follower is at work; or after it, with `wait`."""
        name = self._projection.name
        with self._engine.begin() as connection:
            # Committed before all else: tombstones wait also for an index that is away.
            feed_cursors.begin(connection, name)
        try:
            with self._engine.begin() as connection:
                done, refused = self._batch(connection, wait=wait)
        except BatchRefused as error:
            if self._limit < self._fewest:
                self._fewest = self._limit
                log.warning(
                    "follower.halved", projection=name, batch=self._limit, reason=error.detail
                )
            return Progress(again=True)
        for refusal in refused:
            log.error(
                "follower.refused",
                projection=name,
                listing=refusal.entry.listing_id,
                reason=refusal.reason,
            )
        return done

    def _batch(self, connection: Connection, *, wait: bool) -> tuple[Progress, list[Refusal]]:
        name = self._projection.name
        position = feed_cursors.take(connection, name, wait=wait)
        if position is None:
            return Progress(), []
        rows = search_feed.newest(
            connection, after=position, limit=self._limit, max_bytes=MAX_BATCH_BYTES
        )
        if not rows and self._prepared:
            return Progress(), []
        # Before each batch: some clusters make what they miss, and not as it should be.
        make = self._projection.prepare(connection)
        if make is not None and position > 0:
            # Committed before it is made: nobody could tell afterwards that it was empty.
            feed_cursors.rewind(connection, name)
            log.warning("follower.begins_again", projection=name, reason="its index is gone")
            return Progress(again=True), []
        if make is not None:
            make()
        self._prepared = True
        if not rows:
            return Progress(), []
        entries = [
            Entry(row.listing_id, row.doc_version, row.document) for row in rows if row.newest
        ]
        try:
            refused = self._projection.apply(connection, entries) if entries else []
        except BatchRefused:
            self._limit = max(1, len(rows) // 2)
            raise
        self._limit = min(BATCH, self._limit + max(1, self._limit // 10))
        _note(connection, name, entries, refused)
        feed_cursors.move(connection, name, rows[-1].position)
        return Progress(len(rows), len(refused)), refused


def _note(
    connection: Connection, name: str, entries: Sequence[Entry], refused: Sequence[Refusal]
) -> None:
    """Keeps what was refused with its reason, until a newer version is taken."""
    connection.execute(
        text("DELETE FROM feed_refusal WHERE name = :name AND listing_id = ANY(:listings)"),
        {"name": name, "listings": [entry.listing_id for entry in entries]},
    )
    if refused:
        connection.execute(
            text("""
                INSERT INTO feed_refusal (name, listing_id, doc_version, reason)
                VALUES (:name, :listing_id, :doc_version, :reason)
            """),
            [
                {
                    "name": name,
                    "listing_id": refusal.entry.listing_id,
                    "doc_version": refusal.entry.doc_version,
                    "reason": refusal.reason[:1000].replace("\0", ""),
                }
                for refusal in refused
            ],
        )
