"""Listing events into rows: one transaction a batch, the newest event of a listing wins."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from producer.events import EventType, Limits, ListingEvent, newest
from producer.lines import Line
from producer.parsing import parse
from producer.rejections import Rejection, keep
from shared.db import listings, photos
from shared.db.decisions import Decisions
from shared.db.retry import retrying
from shared.domain.photo import Lane
from shared.errors import EventError
from shared.settings import Settings


@dataclass(slots=True)
class Counts:
    """What became of event lines."""

    recorded: int = 0
    unchanged: int = 0  #: older than what is known, or known already
    rejected: int = 0
    photos: int = 0  #: photos to tag: new ones, and failed ones that were published again
    reasons: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, other: "Counts") -> None:
        """Counts another batch in."""
        self.recorded += other.recorded
        self.unchanged += other.unchanged
        self.rejected += other.rejected
        self.photos += other.photos
        for code, times in other.reasons.items():
            self.reasons[code] = self.reasons.get(code, 0) + times


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch changed."""

    applied: tuple[ListingEvent, ...]  #: the others were older than what is known, or known already
    photos: int


def limits(settings: Settings) -> Limits:
    """How much one event may carry."""
    return Limits(
        max_event_bytes=settings.max_event_bytes,
        max_photos=settings.max_photos_per_listing,
        max_seller_tags=settings.max_seller_tags,
    )


class Intake:
    """Records batches of event lines."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        lane: Lane = Lane.TAGGING,
        *,
        patience_s: float = 60,
    ) -> None:
        """Writes nothing yet.

        Args:
            engine: where the rows are.
            settings: what an event may hold.
            lane: where new photos wait.
            patience_s: how long a batch is tried again while Postgres is away.
        """
        self._engine = engine
        self._patience_s = patience_s
        self._lane = lane
        self._decisions = Decisions()
        self._limits = limits(settings)

    def record(self, lines: Sequence[Line]) -> Counts:
        """Records a batch of lines in one transaction; rejected ones with their reason."""
        counts = Counts()
        events: list[ListingEvent] = []
        rejected: list[Rejection] = []
        now = datetime.now(UTC)
        for line in lines:
            try:
                if line.error is not None:
                    raise line.error
                events.append(parse(line.raw, self._limits, now))
            except EventError as error:
                rejected.append(Rejection(line, error))
                counts.reasons[error.kind] = counts.reasons.get(error.kind, 0) + 1
        written = retrying(lambda: self._record(events, rejected), for_s=self._patience_s)
        counts.recorded, counts.photos = len(written.applied), written.photos
        counts.unchanged = len(events) - counts.recorded
        counts.rejected = len(rejected)
        return counts

    def _record(self, events: list[ListingEvent], rejected: list[Rejection]) -> Written:
        with self._engine.begin() as connection:
            return self.write(connection, events, rejected)

    def write(
        self,
        connection: Connection,
        events: Sequence[ListingEvent],
        rejected: Sequence[Rejection],
    ) -> Written:
        """Writes events and rejected lines within the caller's transaction."""
        keep(connection, rejected, self._lane)
        applied, published = _upsert(connection, newest(events))
        if not applied:
            return Written((), 0)
        _remove_photos(connection, applied)
        added = _add_photos(connection, applied, self._lane)
        # A listing with photos that was never published says nothing yet: its tags will.
        speaks = [
            id_
            for id_, event in applied.items()
            if id_ in published or event.type is EventType.DELETED or not event.photos
        ]
        listings.publish(connection, speaks, self._decisions)
        if added:
            photos.wake_relay(connection)
        return Written(tuple(applied.values()), added)


def _upsert(
    connection: Connection, events: dict[str, ListingEvent]
) -> tuple[dict[int, ListingEvent], set[int]]:
    """Writes listings where the event is newer than what is known.

    They are written in the order of their names, as `listings.lock` does, so that nobody waits
    for anybody in a ring.

    Returns:
        The listings that were written: row id -> event; and those that are in the feed.
    """
    rows = [
        {
            "external_id": event.listing_id,
            "title": event.title,
            "seller_tags": event.seller_tags,
            "occurred_at": event.occurred_at.isoformat(),
            "event_id": event.event_id,
            "deleted": event.type is EventType.DELETED,
        }
        for event in events.values()
    ]
    applied = connection.execute(
        text("""
            INSERT INTO listing (external_id, title, seller_tags, occurred_at, event_id, deleted_at)
            SELECT external_id, title, seller_tags, occurred_at, event_id,
                CASE WHEN deleted THEN occurred_at END
            FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new(
                external_id text, title text, seller_tags text[], occurred_at timestamptz,
                event_id text, deleted boolean)
            ORDER BY external_id COLLATE "C"
            ON CONFLICT (external_id) DO UPDATE SET
                title = excluded.title, seller_tags = excluded.seller_tags,
                occurred_at = excluded.occurred_at, event_id = excluded.event_id,
                deleted_at = excluded.deleted_at, updated_at = now()
            WHERE (excluded.occurred_at, excluded.event_id)
                > (listing.occurred_at, listing.event_id)
            RETURNING id, external_id, doc_version
        """),
        {"rows": json.dumps(rows)},
    ).all()
    published = {row.id for row in applied if row.doc_version > 0}
    return {row.id: events[row.external_id] for row in applied}, published


def _remove_photos(connection: Connection, applied: dict[int, ListingEvent]) -> None:
    """Deletes photos that the listing no longer has; work in flight on them is fenced off."""
    pairs = [(id_, _digest(url)) for id_, event in applied.items() for url in event.photos]
    connection.execute(
        text("""
            DELETE FROM photo WHERE listing_id = ANY(:ids) AND NOT EXISTS (
                SELECT FROM unnest(CAST(:listings AS bigint[]), CAST(:digests AS bytea[]))
                    AS kept(listing_id, url_sha256)
                WHERE kept.listing_id = photo.listing_id AND kept.url_sha256 = photo.url_sha256)
        """),
        {
            "ids": list(applied),
            "listings": [pair[0] for pair in pairs],
            "digests": [pair[1] for pair in pairs],
        },
    )


def _add_photos(connection: Connection, applied: dict[int, ListingEvent], lane: Lane) -> int:
    """Adds photos that the listing did not have, and keeps the order of all.

    A photo that failed and is published again gets another chance from the start, in this lane.
    One that waits behind all new ones is let forward when a live event is about its listing.

    Returns:
        How many photos became due.
    """
    rows = [
        (id_, position, url)
        for id_, event in sorted(applied.items())
        for position, url in enumerate(event.photos)
    ]
    if not rows:
        return 0
    inserted = connection.execute(
        text("""
            INSERT INTO photo (listing_id, position, url, url_sha256, lane)
            SELECT *, :lane FROM unnest(
                CAST(:listings AS bigint[]), CAST(:positions AS smallint[]),
                CAST(:urls AS text[]), CAST(:digests AS bytea[]))
            ON CONFLICT (listing_id, url_sha256) DO UPDATE SET
                position = excluded.position,
                status = CASE photo.status WHEN 'failed' THEN 'pending' ELSE photo.status END,
                due_at = CASE photo.status WHEN 'failed' THEN now() ELSE photo.due_at END,
                attempt = CASE photo.status WHEN 'failed' THEN 0 ELSE photo.attempt END,
                crashes = CASE photo.status WHEN 'failed' THEN 0 ELSE photo.crashes END,
                lane = CASE WHEN photo.status = 'failed' OR photo.status = 'pending'
                        AND photo.lane = :backfill AND excluded.lane = :tagging
                    THEN excluded.lane ELSE photo.lane END,
                resting_since =
                    CASE photo.status WHEN 'failed' THEN NULL ELSE photo.resting_since END,
                finished_at = CASE photo.status WHEN 'failed' THEN NULL ELSE photo.finished_at END
            RETURNING due_at = now() AS became_due
        """),
        {
            "listings": [row[0] for row in rows],
            "positions": [row[1] for row in rows],
            "urls": [row[2] for row in rows],
            "digests": [_digest(row[2]) for row in rows],
            "lane": lane,
            "tagging": Lane.TAGGING,
            "backfill": Lane.BACKFILL,
        },
    ).scalars()
    return sum(inserted)


def _digest(url: str) -> bytes:
    return hashlib.sha256(url.encode()).digest()
