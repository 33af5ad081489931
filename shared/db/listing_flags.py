"""The flags of listings: replaced as a whole, so that what no longer holds is gone."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, text

from shared.domain.flags import Flag, FlagKind


def replace(
    connection: Connection, flags: Mapping[int, Sequence[Flag]], *, shadow: bool
) -> list[int]:
    """Gives listings these flags and no others; one that stays keeps its `created_at`.

    Args:
        connection: a transaction.
        flags: listing row id -> its flags.
        shadow: whether documents are not to mention them.

    Returns:
        The listings whose documents would say something else.
    """
    rows: list[dict[str, Any]] = [
        {
            "listing_id": id_,
            "kind": flag.kind,
            "subject": flag.subject,
            "score": flag.score,
            "reason": flag.reason,
        }
        for id_, its in flags.items()
        for flag in its
    ]
    gone = connection.execute(
        text("""
            DELETE FROM listing_flag WHERE listing_id = ANY(:ids)
                AND (listing_id, kind, subject) NOT IN (
                    SELECT listing_id, kind, subject FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                        AS new(listing_id bigint, kind text, subject text))
            RETURNING listing_id, shadow
        """),
        {"ids": sorted(flags), "rows": orjson.dumps(rows).decode()},
    ).all()
    written = connection.execute(
        text("""
            WITH before AS (
                SELECT listing_id, kind, subject, shadow FROM listing_flag
                WHERE listing_id = ANY(:ids))
            , written AS (
                INSERT INTO listing_flag (listing_id, kind, subject, score, reason, shadow)
                SELECT listing_id, kind, subject, score, reason, :shadow
                FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new(
                    listing_id bigint, kind text, subject text, score real, reason text)
                ON CONFLICT (listing_id, kind, subject) DO UPDATE SET
                    score = excluded.score, reason = excluded.reason, shadow = excluded.shadow
                RETURNING listing_id, kind, subject, shadow)
            SELECT listing_id FROM written LEFT JOIN before USING (listing_id, kind, subject)
            WHERE coalesce(before.shadow, true) <> written.shadow
        """),
        {"ids": sorted(flags), "rows": orjson.dumps(rows).decode(), "shadow": shadow},
    ).scalars()
    unpublished = {row.listing_id for row in gone if not row.shadow}
    return sorted(unpublished.union(written))


def published(
    connection: Connection, listing_ids: Sequence[int]
) -> dict[int, list[dict[str, str]]]:
    """What documents mention: kind and subject of the flags that are no shadow."""
    found: dict[int, list[dict[str, str]]] = {}
    for row in connection.execute(
        text("""
            SELECT listing_id, kind, subject FROM listing_flag
            WHERE listing_id = ANY(:ids) AND NOT shadow
            ORDER BY listing_id, kind, subject
        """),
        {"ids": list(listing_ids)},
    ):
        found.setdefault(row.listing_id, []).append({"kind": row.kind, "subject": row.subject})
    return found


def pointing_at(connection: Connection, listings: Collection[str], *, most: int) -> set[int]:
    """So many at most of the listings that are flagged for having a photo of these.

    Args:
        connection: a transaction.
        listings: as the marketplace calls them.
        most: how many.
    """
    return {
        *connection.execute(
            text("""
                SELECT listing_id FROM listing_flag
                WHERE kind = :kind AND subject = ANY(:listings) LIMIT :most
            """),
            {"kind": FlagKind.REUSED_PHOTO, "listings": [*listings], "most": most},
        ).scalars()
    }
