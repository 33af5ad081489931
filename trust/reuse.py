"""Photos that stand under several listings, by how they look."""

from collections.abc import Iterable, Sequence

import orjson
from sqlalchemy import Connection, Row, text

from shared.domain import likeness
from shared.domain.flags import Flag, of_reuse

#: A photo may stand under thousands of listings: for each so many are looked at again.
_LATER = 20

_ALIKE = """
    other.keys && mine.keys AND other.listing_id <> mine.listing_id
    AND bit_count((other.phash # mine.phash)::bit(64)) <= :cutoff
"""


def remember(connection: Connection, photos: Iterable[Row[tuple[int, int, int | None]]]) -> None:
    """Keeps the fingerprints of tagged photos: rows of `id`, `listing_id` and `phash`."""
    rows = [
        {
            "photo_id": photo.id,
            "listing_id": photo.listing_id,
            "phash": photo.phash,
            "keys": likeness.keys(photo.phash),
        }
        for photo in photos
        if photo.phash is not None
    ]
    if rows:
        connection.execute(
            text("""
                INSERT INTO photo_fingerprint (photo_id, listing_id, phash, keys)
                SELECT photo_id, listing_id, phash, keys
                FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new(
                    photo_id bigint, listing_id bigint, phash bigint, keys int[])
                -- A photo that is deleted at this moment is passed over.
                WHERE EXISTS (SELECT FROM photo WHERE photo.id = new.photo_id FOR KEY SHARE)
                ON CONFLICT (photo_id) DO UPDATE SET
                    phash = excluded.phash, keys = excluded.keys
                    WHERE photo_fingerprint.phash <> excluded.phash
            """),
            {"rows": orjson.dumps(rows).decode()},
        )


def with_later_copies(connection: Connection, listing_ids: Sequence[int]) -> list[int]:
    """Listings that have photos of these, and have them since later."""
    return list(
        connection.execute(
            text(f"""
                SELECT DISTINCT later.listing_id
                FROM photo JOIN photo_fingerprint AS mine ON mine.photo_id = photo.id
                CROSS JOIN LATERAL (
                    SELECT other.listing_id FROM photo_fingerprint AS other
                    WHERE {_ALIKE} AND other.photo_id > mine.photo_id
                    LIMIT {_LATER}
                ) AS later
                WHERE photo.listing_id = ANY(:ids)
            """),  # noqa: S608  # our own words
            {"ids": list(listing_ids), "cutoff": likeness.CUTOFF},
        ).scalars()
    )


def flags(connection: Connection, listing_ids: Sequence[int]) -> dict[int, list[Flag]]:
    """For each listing the first of the earlier ones that has one of its photos, by photo."""
    found: dict[int, dict[str, Flag]] = {}
    for row in connection.execute(
        text(f"""
            SELECT mine.listing_id, listing.external_id, earlier.distance
            FROM photo JOIN photo_fingerprint AS mine ON mine.photo_id = photo.id
            CROSS JOIN LATERAL (
                SELECT other.listing_id, bit_count((other.phash # mine.phash)::bit(64)) AS distance
                FROM photo_fingerprint AS other
                WHERE {_ALIKE} AND other.photo_id < mine.photo_id
                ORDER BY other.photo_id LIMIT 1
            ) AS earlier
            JOIN listing ON listing.id = earlier.listing_id
            WHERE photo.listing_id = ANY(:ids)
            ORDER BY earlier.distance
        """),  # noqa: S608  # our own words
        {"ids": list(listing_ids), "cutoff": likeness.CUTOFF},
    ):
        flag = of_reuse(row.external_id, row.distance, likeness.BITS)
        found.setdefault(row.listing_id, {}).setdefault(row.external_id, flag)
    return {listing_id: list(its.values()) for listing_id, its in found.items()}
