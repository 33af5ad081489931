"""The search indexer's feed: versioned documents, read by a cursor that never skips.

Positions come from one counter row that a writer keeps locked until it commits. So
positions have no gaps, and a reader that has seen N has seen everything before N, also
when transactions that began earlier commit later.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Row, text


def append(connection: Connection, documents: Mapping[int, dict[str, Any] | None]) -> None:
    """Appends a new version for each listing; the last thing a transaction does.

    Args:
        connection: a transaction that holds the listings' rows locked.
        documents: listing row id -> its document, or None for a tombstone.
    """
    if not documents:
        return
    ids = sorted(documents)
    versions = {
        row.id: row
        for row in connection.execute(
            text("""
                UPDATE listing SET doc_version = doc_version + 1 WHERE id = ANY(:ids)
                RETURNING id, external_id, doc_version
            """),
            {"ids": ids},
        )
    }
    last = connection.execute(
        text("UPDATE feed_head SET position = position + :count RETURNING position"),
        {"count": len(ids)},
    ).scalar_one()
    entries = [
        {
            "position": position,
            "listing_id": versions[id_].external_id,
            "doc_version": versions[id_].doc_version,
            "document": documents[id_],
        }
        for position, id_ in enumerate(ids, start=last - len(ids) + 1)
    ]
    connection.execute(
        text("""
            INSERT INTO search_feed (position, listing_id, doc_version, document)
            SELECT position, listing_id, doc_version, nullif(document, 'null'::jsonb)
            FROM jsonb_to_recordset(CAST(:entries AS jsonb)) AS new(
                position bigint, listing_id text, doc_version bigint, document jsonb)
        """),
        {"entries": orjson.dumps(entries).decode()},
    )


def read(connection: Connection, *, after: int, limit: int) -> Sequence[Row[Any]]:
    """The entries after a position, in order: position, listing_id, doc_version, document."""
    return connection.execute(
        text("""
            SELECT position, listing_id, doc_version, document, created_at FROM search_feed
            WHERE position > :after ORDER BY position LIMIT :limit
        """),
        {"after": after, "limit": limit},
    ).all()


def newest(connection: Connection, *, after: int, limit: int, max_bytes: int) -> Sequence[Row[Any]]:
    """The entries after a position, in order, for whoever wants each listing as it is in the end.

    Args:
        connection: any.
        after: the position.
        limit: the most entries.
        max_bytes: of their documents as JSON together; a single one may have more.

    Returns:
        position, listing_id, doc_version, document, and whether it is `newest`: of a listing that
        has changed again since, there is no document here, but later.
    """
    return connection.execute(
        text("""
            WITH following AS MATERIALIZED (
                SELECT entry.position, entry.listing_id, entry.doc_version, entry.document,
                    coalesce(entry.doc_version = listing.doc_version, true) AS newest
                FROM search_feed AS entry
                LEFT JOIN listing ON listing.external_id = entry.listing_id
                WHERE entry.position > :after ORDER BY entry.position LIMIT :limit),
            sized AS (
                SELECT *, CASE WHEN newest THEN coalesce(octet_length(document::text), 0)
                    ELSE 0 END AS bytes
                FROM following),
            summed AS (
                SELECT *, sum(bytes) OVER (ORDER BY position) AS total FROM sized)
            SELECT position, listing_id, doc_version, newest,
                CASE WHEN newest THEN document END AS document
            FROM summed WHERE total <= :max_bytes OR total = bytes ORDER BY position
        """),
        {"after": after, "limit": limit, "max_bytes": max_bytes},
    ).all()


def compact(
    connection: Connection, *, after: int, keep: timedelta, limit: int = 5000
) -> tuple[int, int]:
    """Deletes old entries that nobody needs any more, from a position on.

    An entry goes once a newer one of its listing is there: who reads it later reads that. A
    tombstone without one goes too, once all our own indexes have read it; a reader of another
    kind that stayed away for longer than `keep` has to begin again from nothing.

    Args:
        connection: a transaction of its own.
        after: where the last call ended; 0 for the first one.
        keep: entries younger than this stay.
        limit: how many are looked at.

    Returns:
        (where the next call begins, how many went); the first is `after` when there is no more.
    """
    looked_at = connection.execute(
        text("""
            SELECT position FROM search_feed
            WHERE position > :after AND created_at < now() - CAST(:keep AS interval)
            ORDER BY position LIMIT :limit
        """),
        {"after": after, "keep": keep, "limit": limit},
    ).all()
    if not looked_at:
        return after, 0
    deleted = connection.execute(
        text("""
            DELETE FROM search_feed AS old
            WHERE position = ANY(:positions) AND (
                EXISTS (SELECT FROM search_feed AS newer
                    WHERE newer.listing_id = old.listing_id
                        AND newer.doc_version > old.doc_version)
                OR document IS NULL AND NOT EXISTS (
                    SELECT FROM feed_cursor WHERE feed_cursor.position < old.position))
        """),
        {"positions": [row.position for row in looked_at]},
    ).rowcount
    return looked_at[-1].position, deleted
