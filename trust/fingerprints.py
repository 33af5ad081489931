"""How the photos of listings look, and since when: kept in step with the photos."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Connection, text

from shared.domain import likeness
from shared.domain.photo import Status


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A look that a listing's photos have."""

    listing_id: int
    phash: int
    since: datetime  #: when a photo that looks so was first recorded under the listing


@dataclass(frozen=True, slots=True)
class Changes:
    """What `update` changed; what a listing is found to have since earlier is in both."""

    new: tuple[Fingerprint, ...]
    gone: tuple[Fingerprint, ...]


def update(connection: Connection, listing_ids: Collection[int]) -> Changes:
    """Brings the fingerprints of listings to what their tagged photos look like.

    One transaction at a time may do so. It locks no photo and no listing against anybody.
    """
    stored: defaultdict[int, dict[int, datetime]] = defaultdict(dict)
    for its in of_listings(connection, listing_ids):
        stored[its.listing_id][its.phash] = its.since
    shown: defaultdict[int, dict[int, datetime]] = defaultdict(dict)
    waiting: set[int] = set()
    for photo in connection.execute(
        text("""
            SELECT listing_id, status, phash, created_at FROM photo
            WHERE listing_id = ANY(:ids) ORDER BY created_at DESC
        """),
        {"ids": sorted(listing_ids)},
    ):
        if photo.status == Status.TAGGED and photo.phash is not None:
            shown[photo.listing_id][photo.phash] = photo.created_at
        elif photo.status not in {Status.TAGGED, Status.FAILED}:
            waiting.add(photo.listing_id)
    before = {Fingerprint(id_, *look) for id_, its in stored.items() for look in its.items()}
    after = {
        Fingerprint(id_, *look)
        for id_ in listing_ids
        for look in successors(stored[id_], shown[id_], waiting=id_ in waiting).items()
    }
    changes = Changes(_sorted(after - before), _sorted(before - after))
    _write(connection, changes)
    return changes


def successors(
    stored: Mapping[int, datetime], shown: Mapping[int, datetime], *, waiting: bool
) -> dict[int, datetime]:
    """The looks of one listing by hash, with since when it has each (pure).

    A photo whose URL changes is another photo, and may come out a few bits different: it has been
    there since the one that it takes the place of.

    Args:
        stored: what was known.
        shown: of its tagged photos, with when the first of each was recorded.
        waiting: whether photos of it are yet to be looked at. Until then nothing goes.
    """
    gone = stored.keys() - shown.keys()
    looks = {
        phash: min(
            stored.get(phash, since),
            since,
            *(stored[old] for old in gone if likeness.alike(old, phash)),
        )
        for phash, since in shown.items()
    }
    return looks | ({phash: stored[phash] for phash in gone} if waiting else {})


def of_listings(connection: Connection, listing_ids: Collection[int]) -> list[Fingerprint]:
    """What is known of listings."""
    rows = connection.execute(
        text("""
            SELECT listing_id, phash, since FROM listing_fingerprint WHERE listing_id = ANY(:ids)
        """),
        {"ids": sorted(listing_ids)},
    )
    return [Fingerprint(*row) for row in rows]


def _sorted(fingerprints: Iterable[Fingerprint]) -> tuple[Fingerprint, ...]:
    return tuple(sorted(fingerprints, key=lambda its: (its.listing_id, its.phash)))


def _write(connection: Connection, changes: Changes) -> None:
    here = {(its.listing_id, its.phash) for its in changes.new}
    gone = [its for its in changes.gone if (its.listing_id, its.phash) not in here]
    if gone:
        connection.execute(
            text("""
                DELETE FROM listing_fingerprint AS its
                USING unnest(CAST(:listings AS bigint[]), CAST(:phashes AS bigint[]))
                    AS gone(listing_id, phash)
                WHERE its.listing_id = gone.listing_id AND its.phash = gone.phash
            """),
            {
                "listings": [its.listing_id for its in gone],
                "phashes": [its.phash for its in gone],
            },
        )
    if changes.new:
        connection.execute(
            text("""
                INSERT INTO listing_fingerprint (listing_id, phash, since)
                SELECT listing_id, phash, since FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                    AS new(listing_id bigint, phash bigint, since timestamptz)
                ON CONFLICT (listing_id, phash) DO UPDATE SET since = excluded.since
            """),
            {"rows": orjson.dumps(changes.new).decode()},
        )
        looks = {its.phash: likeness.keys(its.phash) for its in changes.new}
        connection.execute(
            text("""
                INSERT INTO photo_fingerprint (phash, keys)
                SELECT phash, keys FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                    AS new(phash bigint, keys int[])
                ON CONFLICT (phash) DO NOTHING
            """),
            {
                "rows": orjson.dumps(
                    [{"phash": phash, "keys": keys} for phash, keys in sorted(looks.items())]
                ).decode()
            },
        )
    if gone:
        connection.execute(
            text("""
                DELETE FROM photo_fingerprint AS look WHERE phash = ANY(:phashes)
                    AND NOT EXISTS (SELECT FROM listing_fingerprint WHERE phash = look.phash)
            """),
            {"phashes": sorted({its.phash for its in gone})},
        )
