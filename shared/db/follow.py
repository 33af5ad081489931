"""Follows the search feed into an index, or into flags, from where it stopped last."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from sqlalchemy import Connection, Engine, Row, text

from shared.db import search_feed
from shared.db.retry import transient
from shared.db.session import DATABASE_ERRORS, in_words
from shared.errors import IndexAway
from shared.settings import Settings
from shared.watchdog import Watchdog

log = structlog.get_logger()

BATCH: Final = 500
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
    held: bool = False  #: another follower of this projection was at work

    def __add__(self, more: "Progress") -> "Progress":
        return Progress(
            self.entries + more.entries, self.refused + more.refused, self.held or more.held
        )


class Projection(Protocol):
    """What is made of documents: an index, or flags."""

    @property
    def name(self) -> str:
        """What its cursor is kept under."""
        ...

    def prepare(self, connection: Connection) -> None:
        """Makes it if it is not there; before the first batch.

        Raises:
            IndexAway: it does not answer now.
        """
        ...

    def apply(self, connection: Connection, entries: Sequence[Entry]) -> list[Refusal]:
        """Takes documents in, one of each listing. Doing it twice, or too late, does no harm.

        Args:
            connection: the transaction that moves the cursor.
            entries: what is new.

        Raises:
            IndexAway: it cannot take them now; nothing is lost if they come again.
        """
        ...


class Follower:
    """Keeps one projection up to date. Of several at once of the same one works."""

    def __init__(self, engine: Engine, projection: Projection) -> None:
        self._engine = engine
        self._projection = projection
        self._prepared = False

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
            if not well:
                log.info("follower.back", projection=self._projection.name)
            pause_s, well = _FIRST_PAUSE_S, True
            if not done.entries:
                stop.wait(_IDLE_S)

    def catch_up(self) -> Progress:
        """Works until nothing is left, or another one is found at work.

        Raises:
            IndexAway: the index does not answer.
        """
        total = Progress()
        while (done := self.step()).entries:
            total += done
        return total + done

    def step(self) -> Progress:
        """One batch."""
        with self._engine.begin() as connection:
            if not self._prepared:
                self._projection.prepare(connection)
                self._prepared = True
            position = _take_cursor(connection, self._projection.name)
            if position is None:
                return Progress(held=True)
            rows = search_feed.read(connection, after=position, limit=BATCH)
            if not rows:
                return Progress()
            refused = self._projection.apply(connection, _newest(rows))
            _note(connection, self._projection.name, rows, refused)
            connection.execute(
                text("""
                    UPDATE feed_cursor SET position = :position, moved_at = now()
                    WHERE name = :name
                """),
                {"name": self._projection.name, "position": rows[-1].position},
            )
        for refusal in refused:
            log.error(
                "follower.refused",
                projection=self._projection.name,
                listing=refusal.entry.listing_id,
                reason=refusal.reason,
            )
        return Progress(len(rows), len(refused))


def rewind(connection: Connection, name: str) -> None:
    """Lets a projection begin again from the first entry."""
    connection.execute(text("DELETE FROM feed_cursor WHERE name = :name"), {"name": name})


def forget(connection: Connection, name: str) -> int | None:
    """Lets go of a projection that is kept up no more: tombstones no longer wait for it.

    Returns:
        Its position in the feed; None where nothing is known under that name.
    """
    connection.execute(text("DELETE FROM feed_refusal WHERE name = :name"), {"name": name})
    return connection.execute(
        text("DELETE FROM feed_cursor WHERE name = :name RETURNING position"), {"name": name}
    ).scalar()


def known(connection: Connection) -> list[str]:
    """What the feed is followed for, by name."""
    return list(connection.execute(text("SELECT name FROM feed_cursor ORDER BY name")).scalars())


def _newest(rows: Sequence[Row[Any]]) -> list[Entry]:
    newest = {row.listing_id: row for row in rows}
    return [Entry(row.listing_id, row.doc_version, row.document) for row in newest.values()]


def _take_cursor(connection: Connection, name: str) -> int | None:
    """Where to go on, for this transaction alone; None while another one has it."""
    connection.execute(
        text("INSERT INTO feed_cursor (name) VALUES (:name) ON CONFLICT DO NOTHING"),
        {"name": name},
    )
    return connection.execute(
        text("SELECT position FROM feed_cursor WHERE name = :name FOR UPDATE SKIP LOCKED"),
        {"name": name},
    ).scalar()


def _note(
    connection: Connection, name: str, rows: Sequence[Row[Any]], refused: Sequence[Refusal]
) -> None:
    """Keeps what was refused with its reason, until a newer version is taken."""
    connection.execute(
        text("DELETE FROM feed_refusal WHERE name = :name AND listing_id = ANY(:listings)"),
        {"name": name, "listings": [row.listing_id for row in rows]},
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
