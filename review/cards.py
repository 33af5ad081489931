"""The queue as the page lists it: a card for each listing, and the kinds of flags there are."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Card:
    """A listing in the list of those that wait."""

    id: int
    title: str
    external_id: str
    photo_id: int | None  #: the first one that was tagged
    kinds: list[str]  #: of its flags, by name
    tags: list[str]  #: each with its score, the surest first


def read_cards(connection: Connection, listing_ids: Sequence[int]) -> dict[int, Card]:
    """What the list of the queue shows of listings, by their rows."""
    rows = connection.execute(
        text("""
            SELECT id, external_id, title,
                (SELECT photo.id FROM photo WHERE listing_id = listing.id AND status = 'tagged'
                    ORDER BY position, photo.id LIMIT 1) AS photo_id,
                ARRAY(SELECT DISTINCT kind FROM listing_flag
                    WHERE listing_id = listing.id ORDER BY kind) AS kinds,
                ARRAY(SELECT name || ' ' || round(score::numeric, 2)
                    FROM listing_tag JOIN tag ON tag.id = tag_id
                    WHERE listing_id = listing.id ORDER BY rank) AS tags
            FROM listing WHERE id = ANY(:ids)
        """),
        {"ids": [*listing_ids]},
    )
    return {
        row.id: Card(row.id, row.title, row.external_id, row.photo_id, row.kinds, row.tags)
        for row in rows
    }


def flag_kinds(connection: Connection) -> list[str]:
    """The kinds of flags there are, by stepping along their index."""
    return [
        *connection.execute(
            text("""
                WITH RECURSIVE step AS (
                    (SELECT kind FROM listing_flag ORDER BY kind LIMIT 1)
                    UNION ALL
                    SELECT (SELECT kind FROM listing_flag WHERE kind > step.kind
                        ORDER BY kind LIMIT 1) FROM step WHERE kind IS NOT NULL)
                SELECT kind FROM step WHERE kind IS NOT NULL LIMIT 50
            """)
        ).scalars()
    ]
