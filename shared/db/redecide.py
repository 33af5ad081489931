"""Deciding again, from stored scores, what photos and listings are tagged with.

A page is one transaction over the next listings by row id, so that it is short, can be
repeated, and goes on where it was broken off. Photos that carry the decision in force already
are passed over. Nothing is fetched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, text

from shared.db import listings, photos
from shared.db.decisions import Decisions
from shared.db.models import tag_ids
from shared.domain.decision import Decision, Scored
from shared.domain.photo import Status


@dataclass(slots=True)
class Redecided:
    """What became of stored photos under a decision."""

    photos: int = 0  #: decided again
    photos_changed: int = 0  #: of these, with another set of tags
    listings_changed: int = 0  #: with other tags, related tags or scores in the feed

    def add(self, other: "Redecided") -> None:
        """Counts another page in."""
        self.photos += other.photos
        self.photos_changed += other.photos_changed
        self.listings_changed += other.listings_changed


def last_listing(connection: Connection) -> int:
    """The highest row id of a listing; 0 without any."""
    return connection.execute(text("SELECT coalesce(max(id), 0) FROM listing")).scalar_one()


def next_listings(connection: Connection, *, after: int, limit: int) -> list[int]:
    """The row ids that come after one."""
    return list(
        connection.execute(
            text("SELECT id FROM listing WHERE id > :after ORDER BY id LIMIT :limit"),
            {"after": after, "limit": limit},
        ).scalars()
    )


def redecide(
    connection: Connection, listing_ids: Sequence[int], model_id: int, decisions: Decisions
) -> Redecided:
    """Brings these listings' photos by one model, and the listings, to the decision in force.

    Listings whose document stays as it was are not published again.
    """
    stale = _owners(connection, listing_ids, model_id, stale_only=True)
    if not stale:
        return Redecided()
    listings.lock(connection, stale)
    active = decisions.active(connection, [model_id])[model_id]
    # Read under both locks: what came in between has been decided by then.
    rows = [
        row
        for row in _tagged(connection, stale, model_id)
        if active.id is None or row.decision_id != active.id
    ]
    changed = _changed(rows, active.decision)
    known = tag_ids(connection, active.decision.vocabulary)
    photos.replace_tags(
        connection,
        sorted(changed),
        [
            (id_, known[tag], score, rank)
            for id_, tags in sorted(changed.items())
            for rank, (tag, score) in enumerate(tags, start=1)
        ],
        model_id=model_id,
    )
    connection.execute(
        text("UPDATE photo SET decision_id = :decision WHERE id = ANY(:ids)"),
        {"decision": active.id, "ids": [row.id for row in rows]},
    )
    published = listings.publish_changed(connection, stale, decisions)
    return Redecided(len(rows), len(changed), published)


def count(
    connection: Connection, listing_ids: Sequence[int], model_id: int, trial: Decision
) -> Redecided:
    """What `redecide` would change with another decision in force; changes nothing."""
    owners = _owners(connection, listing_ids, model_id, stale_only=False)
    rows = _tagged(connection, owners, model_id)
    changed = _changed(rows, trial)
    decisions = Decisions(instead={model_id: trial})
    return Redecided(len(rows), len(changed), listings.count_changed(connection, owners, decisions))


def _owners(
    connection: Connection, listing_ids: Sequence[int], model_id: int, *, stale_only: bool
) -> list[int]:
    """Those of the listings that have such photos."""
    return list(
        connection.execute(
            text("""
                SELECT DISTINCT listing_id FROM photo
                WHERE listing_id = ANY(:ids) AND model_id = :model AND status = :tagged
                    AND (NOT :stale_only OR decision_id IS DISTINCT FROM (
                        SELECT id FROM decision WHERE model_id = :model AND active))
            """),
            {
                "ids": list(listing_ids),
                "model": model_id,
                "tagged": Status.TAGGED,
                "stale_only": stale_only,
            },
        ).scalars()
    )


def _tagged(
    connection: Connection, listing_ids: Sequence[int], model_id: int
) -> Sequence[Row[Any]]:
    """Photos with their scores and with the names of the tags they have now."""
    return connection.execute(
        text("""
            SELECT photo.id, scores, decision_id, ARRAY(
                SELECT name FROM photo_tag JOIN tag ON tag.id = tag_id WHERE photo_id = photo.id
            ) AS tags
            FROM photo
            WHERE listing_id = ANY(:ids) AND model_id = :model AND status = :tagged
            ORDER BY photo.id
        """),
        {"ids": list(listing_ids), "model": model_id, "tagged": Status.TAGGED},
    ).all()


def _changed(rows: Sequence[Row[Any]], decision: Decision) -> dict[int, list[Scored]]:
    """The new tags of those photos whose tags are not what they were."""
    if not rows:
        return {}
    tags = decision.tags(np.asarray([row.scores for row in rows], np.float32))
    decided = {row.id: its for row, its in zip(rows, tags, strict=True)}
    return {
        row.id: decided[row.id]
        for row in rows
        if {tag for tag, _ in decided[row.id]} != set(row.tags)
    }
