"""Photos that stand under several listings, by how they look."""

from collections import Counter
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Row, text

from shared.db import listing_flags
from shared.domain import likeness
from shared.domain.flags import Flag, of_reuse
from trust import fingerprints
from trust.fingerprints import Changes, Fingerprint

#: A look that more listings have is a placeholder, or a maker's photo: nobody took it from anybody.
MOST: Final = 1000
#: So many listings at most are judged again for what a batch changed of others.
AGAIN: Final = 10_000
#: So many later copies of a look are: the first of them was first before, the others stay copies.
_LATER: Final = 20
#: So many looks that share a key with one are compared with it, no more.
CANDIDATES: Final = 5000
#: For so many fingerprints at once others are looked for: no statement takes long.
_AT_ONCE: Final = 1000

#: Of `mine`: the looks that are of one photo with it, itself among them.
_ALIKE: Final = """
    SELECT phash, bit_count((phash # mine.phash)::bit(64)) AS distance
    FROM (
        SELECT mine.phash
        UNION (SELECT phash FROM photo_fingerprint AS other
            WHERE other.keys && mine.keys LIMIT :candidates)
    ) AS found
    WHERE bit_count((phash # mine.phash)::bit(64)) <= :cutoff AND (
        SELECT count(*) FROM (SELECT FROM listing_fingerprint AS has
            WHERE has.phash = found.phash LIMIT :most + 1)) <= :most
"""
_MINE: Final = """
    jsonb_to_recordset(CAST(:mine AS jsonb)) AS mine(
        listing_id bigint, phash bigint, since timestamptz, keys int[])
"""


def flags(connection: Connection, listing_ids: Collection[int]) -> dict[int, list[Flag]]:
    """For each listing the first of the earlier ones that has one of its photos, by photo."""
    mine = _uncommon(connection, fingerprints.of_listings(connection, listing_ids))
    rows = _for_each(
        connection,
        f"""
        SELECT mine.listing_id, listing.external_id, earlier.distance
        FROM {_MINE} CROSS JOIN LATERAL (
            SELECT first.listing_id, distance
            FROM ({_ALIKE}) AS alike CROSS JOIN LATERAL (
                SELECT listing_id, since FROM listing_fingerprint AS its
                WHERE its.phash = alike.phash AND its.listing_id <> mine.listing_id
                    AND (its.since, its.listing_id) < (mine.since, mine.listing_id)
                ORDER BY its.since, its.listing_id LIMIT 1
            ) AS first
            ORDER BY first.since, first.listing_id LIMIT 1
        ) AS earlier
        JOIN listing ON listing.id = earlier.listing_id
        """,  # noqa: S608  # our own words
        mine,
    )
    found: dict[int, dict[str, Flag]] = {}
    for row in sorted(rows, key=lambda row: row.distance):
        flag = of_reuse(row.external_id, row.distance, likeness.BITS)
        found.setdefault(row.listing_id, {}).setdefault(row.external_id, flag)
    return {listing_id: list(its.values()) for listing_id, its in found.items()}


def touched(connection: Connection, changes: Changes, names: Mapping[int, str]) -> set[int]:
    """The listings that may be flagged otherwise than before, because others changed.

    Args:
        connection: a transaction.
        changes: of the others.
        names: row id -> the marketplace's id, of the others.
    """
    gone = {names[its.listing_id] for its in changes.gone}
    found = listing_flags.pointing_at(connection, gone, most=AGAIN) if gone else set[int]()
    if changes.new:
        found |= _later(connection, _uncommon(connection, changes.new))
    return found | _of_looks(connection, _no_longer_or_newly_common(connection, changes))


def _later(connection: Connection, mine: Sequence[Fingerprint]) -> set[int]:
    """Listings that have photos of these, and have them since later."""
    rows = _for_each(
        connection,
        f"""
        SELECT later.listing_id FROM {_MINE} CROSS JOIN LATERAL (
            SELECT its.listing_id
            FROM ({_ALIKE}) AS alike CROSS JOIN LATERAL (
                SELECT listing_id, since FROM listing_fingerprint AS its
                WHERE its.phash = alike.phash AND its.listing_id <> mine.listing_id
                    AND (its.since, its.listing_id) > (mine.since, mine.listing_id)
                ORDER BY its.since, its.listing_id LIMIT :later
            ) AS its
            ORDER BY its.since, its.listing_id LIMIT :later
        ) AS later
        """,  # noqa: S608  # our own words
        mine,
    )
    return {row.listing_id for row in rows[:AGAIN]}


def _for_each(connection: Connection, query: str, mine: Sequence[Fingerprint]) -> list[Row[Any]]:
    """What a query finds for `mine`, some of them at a time."""
    found: list[Row[Any]] = []
    with _by_index(connection):
        for start in range(0, len(mine), _AT_ONCE):
            rows = [
                {**asdict(its), "keys": likeness.keys(its.phash)}
                for its in mine[start : start + _AT_ONCE]
            ]
            parameters = {
                "mine": orjson.dumps(rows).decode(),
                "cutoff": likeness.CUTOFF,
                "most": MOST,
                "candidates": CANDIDATES,
                "later": _LATER,
            }
            found += connection.execute(text(query), parameters)
    return found


def _uncommon(connection: Connection, mine: Collection[Fingerprint]) -> list[Fingerprint]:
    count = _counts(connection, {its.phash for its in mine}, most=MOST + 1)
    return [its for its in mine if count[its.phash] <= MOST]


def _no_longer_or_newly_common(connection: Connection, changes: Changes) -> list[int]:
    """The looks whose number of listings passed `MOST`, upwards or downwards."""
    more = Counter(its.phash for its in changes.new)
    more.subtract(its.phash for its in changes.gone)
    moved = {phash: by for phash, by in more.items() if by}
    most = MOST + 1 + max([0, *moved.values()])
    return [
        phash
        for phash, count in _counts(connection, moved, most=most).items()
        if (count > MOST) != (count - moved[phash] > MOST)
    ]


def _counts(connection: Connection, phashes: Collection[int], *, most: int) -> dict[int, int]:
    """How many listings have each look, counted no further than to `most`."""
    if not phashes:
        return {}
    with _by_index(connection):
        return {
            row.phash: row.listings
            for row in connection.execute(
                text("""
                    SELECT phash, (SELECT count(*) FROM (
                        SELECT FROM listing_fingerprint AS has
                        WHERE has.phash = look.phash LIMIT :most)) AS listings
                    FROM unnest(CAST(:phashes AS bigint[])) AS look(phash)
                """),
                {"phashes": sorted(phashes), "most": most},
            )
        }


def _of_looks(connection: Connection, phashes: Collection[int]) -> set[int]:
    if not phashes:
        return set()
    with _by_index(connection):
        return {
            *connection.execute(
                text("""
                    SELECT listing_id FROM listing_fingerprint WHERE phash = ANY(:phashes)
                    LIMIT :most
                """),
                {"phashes": list(phashes), "most": AGAIN},
            ).scalars()
        }


@contextmanager
def _by_index(connection: Connection) -> Generator[None]:
    """What runs within never reads through a table, whatever the planner takes it to hold.

    How many looks share a key with another it cannot know, and guesses far too many.
    """
    connection.execute(text("SET LOCAL enable_seqscan = off; SET LOCAL jit = off"))
    yield
    connection.execute(text("RESET enable_seqscan; RESET jit"))
