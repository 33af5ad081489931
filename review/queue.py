"""Which listings are looked at next: flagged ones by score, then those nearest a threshold.

Nothing here looks at a whole table. Flags are read along an index by score, tags along an index by
tag and score from each tag's threshold on, as many of each as a page has. What waits for no vote
is stepped over, with a look into the votes' primary key and, where there is one, at the listing's
photos; and so are flags of other listings where only those with one tag are wanted.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, text

from review.queue_position import MAX_ID, Band, Key, QueuePosition
from review.thresholds import thresholds
from shared.db import models, votes
from shared.db.decisions import Decisions
from shared.domain.vocabulary import canonical

#: Before the first and behind the last listing of each band, in the order of the queue.
_FIRST: Final = {
    Band.FLAGGED: Key(Band.FLAGGED, 1e9, MAX_ID),
    Band.UNCERTAIN: Key(Band.UNCERTAIN, -1e-5, 0),
}
_LAST: Final = {
    Band.FLAGGED: Key(Band.FLAGGED, -1e9, 0),
    Band.UNCERTAIN: Key(Band.UNCERTAIN, 1e9, MAX_ID),
}
#: A tag whose threshold is 1 has nowhere to go from there.
_LEAST_WAY: Final = 1e-6


def following(
    connection: Connection,
    position: QueuePosition,
    reviewer_id: int,
    decisions: Decisions,
    *,
    limit: int,
) -> list[Key]:
    """The listings behind `position.key` that wait for a vote; from the first one without a key."""
    found: list[Key] = []
    for band in _bands(position):
        start = _start(position, band, [*Band], _FIRST)
        if start is not None and len(found) < limit:
            found += _look(
                connection, position, start, decisions, limit - len(found), reviewer_id=reviewer_id
            )
    return found


def preceding(connection: Connection, position: QueuePosition, decisions: Decisions) -> Key | None:
    """The listing before `position.key`, whether it waits for a vote or has one."""
    if position.key is None:
        return None
    for band in reversed(_bands(position)):
        start = _start(position, band, [*reversed(Band)], _LAST)
        if start is not None:
            found = _look(connection, position, start, decisions, 1, reviewer_id=None)
            if found:
                return found[0]
    return None


def _bands(position: QueuePosition) -> list[Band]:
    if position.kind == Band.UNCERTAIN:
        return [Band.UNCERTAIN]
    return [Band.FLAGGED] if position.kind else [*Band]


def _start(
    position: QueuePosition, band: Band, order: list[Band], ends: Mapping[Band, Key]
) -> Key | None:
    """Where to begin in a band; None where it lies behind."""
    if position.key is None or order.index(position.key.band) < order.index(band):
        return ends[band]
    return position.key if position.key.band is band else None


def _look(
    connection: Connection,
    position: QueuePosition,
    start: Key,
    decisions: Decisions,
    limit: int,
    *,
    reviewer_id: int | None,
) -> list[Key]:
    """So many keys from `start` on: forward those that wait for a vote, backward all."""
    forward = reviewer_id is not None
    parameters: dict[str, Any] = {
        "value": start.value,
        "id": start.listing_id,
        "limit": limit,
        "kind": position.kind,
        "tag": position.tag,
        "reviewer_id": reviewer_id,
    }
    waits = "true"
    if forward:
        waits = (_FLAG_WAITS if start.band is Band.FLAGGED else _TAGS_WAIT).format(
            of_kind="kind = :kind" if position.kind else "kind IS NOT NULL",
            mine="reviewer_id = :reviewer_id" if position.everyone else "true",
            photos_sha256=votes.photos_sha256("one.listing_id"),
        )
    if start.band is Band.FLAGGED:
        statement = _FLAGGED.format(
            beyond="<" if forward else ">",
            order="DESC" if forward else "ASC",
            of_kind="kind = :kind" if position.kind else "kind IS NOT NULL",
            of_tag=_FLAGGED_OF_TAG if position.tag else "true",
            waits=waits,
        )
    else:
        reached = _reached(connection, position, decisions)
        parameters |= {
            "tag_ids": [*reached],
            "thresholds": [*reached.values()],
            "least_way": _LEAST_WAY,
        }
        statement = _UNCERTAIN.format(
            beyond=">" if forward else "<",
            reached=">=" if forward else "<=",
            slack="-" if forward else "+",
            order="ASC" if forward else "DESC",
            waits=waits,
        )
    rows = connection.execute(text(statement), parameters)
    return [Key(start.band, row.value, row.listing_id) for row in rows]


def _reached(
    connection: Connection, position: QueuePosition, decisions: Decisions
) -> dict[int, float]:
    """The threshold of each tag's row; only of the tag that is asked for."""
    values = thresholds(connection, decisions)
    wanted = [tag for tag in values if position.tag in ("", canonical(tag))]
    return {id_: values[tag] for tag, id_ in models.tag_ids(connection, wanted).items()}


#: No vote is about the tags of the photos as they are.
_TAGS_WAIT: Final = """NOT EXISTS (
    SELECT FROM vote WHERE vote.listing_id = one.listing_id AND kind = 'tag' AND {mine}
        AND photos_sha256 IS NOT DISTINCT FROM {photos_sha256})"""

#: One of its flags has no vote that is as new as the flag, and about the photos as they are.
_FLAG_WAITS: Final = """coalesce((
    SELECT true FROM listing_flag AS its
    WHERE its.listing_id = one.listing_id AND its.{of_kind} AND coalesce((
        SELECT false FROM vote
        WHERE vote.listing_id = its.listing_id AND vote.kind = its.kind
            AND vote.subject = its.subject AND {mine} AND voted_at >= its.created_at
            AND photos_sha256 IS NOT DISTINCT FROM {photos_sha256} LIMIT 1), true)
    LIMIT 1), false)"""

# No EXISTS: of two in an OR, Postgres would make hashes of whole tables.
_FLAGGED_OF_TAG: Final = """coalesce(
    (SELECT true FROM listing_flag
        WHERE listing_flag.listing_id = one.listing_id AND lower(subject) = :tag LIMIT 1),
    (SELECT true FROM listing_tag WHERE listing_tag.listing_id = one.listing_id
        AND tag_id = ANY(ARRAY(SELECT id FROM tag WHERE lower(name) = :tag)) LIMIT 1), false)"""

#: A listing stands where its highest flag does.
_FLAGGED: Final = """
    SELECT one.listing_id, one.score AS value
    FROM listing_flag AS one JOIN listing ON listing.id = one.listing_id
    WHERE one.{of_kind} AND deleted_at IS NULL AND {of_tag} AND {waits}
        AND (one.score, one.listing_id) {beyond} (CAST(:value AS real), :id)
        AND NOT EXISTS (
            SELECT FROM listing_flag AS higher
            WHERE higher.listing_id = one.listing_id AND higher.{of_kind}
                AND (higher.score, higher.kind, higher.subject)
                    > (one.score, one.kind, one.subject))
    ORDER BY one.score {order}, one.listing_id {order} LIMIT :limit
"""

#: For each tag the listings nearest to its threshold; of these, over all tags, the nearest. A
#: listing stands where its least certain tag does.
_UNCERTAIN: Final = """
    WITH threshold AS MATERIALIZED (
        SELECT tag_id, value, greatest(1 - value, :least_way) AS way
        FROM unnest(CAST(:tag_ids AS int[]), CAST(:thresholds AS float8[])) AS given(tag_id, value))
    SELECT listing_id, near.value FROM threshold, LATERAL (
        SELECT one.listing_id, (one.score - threshold.value) / way AS value
        FROM listing_tag AS one JOIN listing ON listing.id = one.listing_id
        WHERE one.tag_id = threshold.tag_id AND deleted_at IS NULL AND {waits}
            AND one.score >= CAST(threshold.value - 1e-6 AS real)
            AND one.score {reached} CAST(
                greatest(least(threshold.value + :value * way {slack} 1e-6, 2), -1) AS real)
            AND ((one.score - threshold.value) / way, one.listing_id) {beyond} (:value, :id)
            AND NOT EXISTS (SELECT FROM listing_flag WHERE listing_id = one.listing_id)
            AND NOT EXISTS (
                SELECT FROM listing_tag AS other JOIN threshold AS its ON its.tag_id = other.tag_id
                WHERE other.listing_id = one.listing_id
                    AND other.score >= CAST(its.value - 1e-6 AS real)
                    AND ((other.score - its.value) / its.way, other.tag_id)
                        < ((one.score - threshold.value) / threshold.way, one.tag_id))
        ORDER BY one.score {order}, one.listing_id {order} LIMIT :limit) AS near
    ORDER BY value {order}, listing_id {order} LIMIT :limit
"""
