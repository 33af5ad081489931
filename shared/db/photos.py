"""A photo's way through its states, each step one set-based statement.

    pending --mark_queued--> queued --claim--> working --settle--> tagged | failed
       ^                       |                  |       |
       +------- sweep ---------+------ sweep -----+       +--> pending (later, or slow lane)

A step takes only rows that are in the state before it, so a message that comes late or
twice finds nothing to do. Who writes photos that are in others' hands too locks their
listings first (`listings.lock`); the relay and the claim skip what is locked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, text

from shared.db.copy import copy_numbers
from shared.domain.photo import Lane, Status
from shared.errors import Crashed, HostResting, Overdue

#: The channel on which the relay is woken.
DUE_CHANNEL = "photo_due"


@dataclass(frozen=True, slots=True)
class Claim:
    """A photo that this worker holds until its lease runs out."""

    id: int
    listing_id: int
    url: str
    lane: Lane
    attempt: int
    token: int
    resting_s: float  #: since it was first sent back because its host rests; 0 where it was not


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a claimed photo: the new state of its row.

    `due_in_s` counts from now and belongs to photos that go back to pending.
    `scores`, float32 [tags], and the content's facts belong to tagged ones. `alone` is set
    where something went wrong that batch mates should not share.
    """

    id: int
    token: int
    status: Status
    lane: Lane
    attempt: int
    due_in_s: float = 0
    alone: bool = False
    error_code: str | None = None
    error_detail: str | None = None
    content_sha256: str | None = None
    content_bytes: int | None = None
    width: int | None = None
    height: int | None = None
    phash: int | None = None
    scores: NDArray[np.float32] | None = None
    model_id: int | None = None


def mark_queued(
    connection: Connection, lane: Lane, *, alone: bool = False, limit: int, lease_s: float
) -> list[int]:
    """Takes up to `limit` due photos of a lane, oldest first, for messages to name.

    With `alone`, takes those that must travel by themselves instead of the others.
    """
    rows = connection.execute(
        text("""
            UPDATE photo SET status = 'queued', lease_until = now() + :lease_s * interval '1 s'
            WHERE id IN (
                SELECT id FROM photo
                WHERE status = 'pending' AND lane = :lane AND alone = :alone AND due_at <= now()
                ORDER BY due_at LIMIT :limit
                FOR UPDATE SKIP LOCKED)
            RETURNING id, due_at
        """),
        {"lane": lane, "alone": alone, "limit": limit, "lease_s": lease_s},
    ).all()
    return [row.id for row in sorted(rows, key=lambda row: (row.due_at, row.id))]


def count_waiting(connection: Connection, lane: Lane, *, most: int) -> int:
    """How many photos of a lane are due or queued, each counted no further than to `most`.

    What is due later waits for its host and not for workers: one dead host must not count
    against the others' photos. Both counts walk a partial index.
    """
    return connection.execute(
        text("""
            SELECT (SELECT count(*) FROM (
                    SELECT FROM photo WHERE status = 'pending' AND lane = :lane
                        AND alone IN (false, true) AND due_at <= now() LIMIT :most))
                + (SELECT count(*) FROM (
                    SELECT FROM photo WHERE status = 'queued' AND lane = :lane LIMIT :most))
        """),
        {"lane": lane, "most": most},
    ).scalar_one()


def is_suspect(connection: Connection, ids: Sequence[int]) -> bool:
    """Whether one of these photos lost its worker before and must be worked on alone."""
    return connection.execute(
        text("SELECT EXISTS (SELECT FROM photo WHERE id = ANY(:ids) AND alone)"),
        {"ids": list(ids)},
    ).scalar_one()


def unqueue(connection: Connection, ids: Sequence[int]) -> None:
    """Puts photos back whose message could not be sent."""
    connection.execute(
        text("""
            UPDATE photo SET status = 'pending', lease_until = NULL WHERE id IN (
                SELECT id FROM photo WHERE id = ANY(:ids) AND status = 'queued'
                FOR UPDATE SKIP LOCKED)
        """),
        {"ids": list(ids)},
    )


def claim(
    connection: Connection,
    ids: Sequence[int],
    *,
    alone: bool = False,
    lease_s: float,
    holder: int | None = None,
) -> list[Claim]:
    """Takes the named photos that are queued; the attempt counts from here.

    Photos that someone else holds, that are finished or that are gone are not returned.
    Neither are, without `alone`, those that must be worked on by themselves, and with it the
    others: a message may be older than the suspicion. `holder` is what `take_back` knows the
    claiming process by.
    Commit before the work starts: a photo that kills its worker has then used an attempt.
    """
    rows = connection.execute(
        text("""
            UPDATE photo SET status = 'working', attempt = attempt + 1,
                token = nextval('fencing_token'), holder = :holder,
                lease_until = now() + :lease_s * interval '1 s'
            WHERE id IN (
                SELECT id FROM photo
                WHERE id = ANY(:ids) AND status = 'queued' AND alone = :alone
                ORDER BY id FOR UPDATE SKIP LOCKED)
            RETURNING id, listing_id, url, lane, attempt, token,
                CAST(extract(epoch FROM now() - coalesce(resting_since, now())) AS float8)
                    AS resting_s
        """),
        {"ids": list(ids), "alone": alone, "lease_s": lease_s, "holder": holder},
    ).all()
    return [
        Claim(
            id=row.id,
            listing_id=row.listing_id,
            url=row.url,
            lane=Lane(row.lane),
            attempt=row.attempt,
            token=row.token,
            resting_s=row.resting_s,
        )
        for row in sorted(rows, key=lambda row: row.id)
    ]


def settle(
    connection: Connection, settled: Sequence[Settled], *, decision_id: int | None = None
) -> list[Row[Any]]:
    """Writes what became of claimed photos, where the claim still holds.

    Lock their listings first (`listings.lock`). `decision_id` says which decision makes their
    tags. A photo whose token has changed (its lease ran out and another worker has it) or that
    was deleted is left alone. One that was not even tried goes on resting since when it did.

    Returns:
        (id, listing_id, status) of the rows that were written.
    """
    return list(
        connection.execute(
            text("""
            UPDATE photo SET
                status = new.status, lane = new.lane, attempt = new.attempt,
                alone = new.status = 'pending' AND (photo.alone OR new.alone),
                due_at = now() + new.due_in_s * interval '1 s',
                lease_until = NULL, token = NULL, holder = NULL,
                error_code = new.error_code, error_detail = new.error_detail,
                resting_since = CASE new.error_code
                    WHEN :resting THEN coalesce(photo.resting_since, now())
                    WHEN :overdue THEN photo.resting_since END,
                content_sha256 = decode(new.content_sha256, 'hex'),
                content_bytes = new.content_bytes, width = new.width, height = new.height,
                phash = new.phash,
                scores = new.scores, model_id = new.model_id,
                decision_id = CASE WHEN new.status = 'tagged' THEN CAST(:decision_id AS int) END,
                finished_at = CASE WHEN new.status IN ('tagged', 'failed') THEN now() END
            FROM json_to_recordset(CAST(:settled AS json)) AS new(
                id bigint, token bigint, status text, lane text, attempt smallint,
                due_in_s float8, alone boolean, error_code text, error_detail text,
                content_sha256 text,
                content_bytes int, width int, height int, phash bigint, scores real[],
                model_id int)
            WHERE photo.id = new.id AND photo.token = new.token AND photo.status = 'working'
            RETURNING photo.id, photo.listing_id, photo.status
        """),
            {
                "settled": orjson.dumps(settled, option=orjson.OPT_SERIALIZE_NUMPY).decode(),
                "decision_id": decision_id,
                "resting": HostResting.code,
                "overdue": Overdue.code,
            },
        )
    )


def replace_tags(
    connection: Connection,
    photo_ids: Sequence[int],
    tags: Iterable[tuple[int, int, float, int]],
    *,
    model_id: int,
) -> None:
    """Writes the tags of photos that were just settled.

    Args:
        connection: the transaction that settled them.
        photo_ids: the photos; what they had before goes away.
        tags: (photo id, tag id, score, rank) each.
        model_id: the model that read them.
    """
    connection.execute(
        text("DELETE FROM photo_tag WHERE photo_id = ANY(:photos)"), {"photos": list(photo_ids)}
    )
    copy_numbers(
        connection,
        "photo_tag",
        ("photo_id", "tag_id", "score", "rank", "model_id"),
        ((*tag, model_id) for tag in tags),
    )


def take_back(connection: Connection, holder: int) -> int:
    """Ends the leases of a process that is seen to be dead; returns how many photos it held.

    Without a token they count as crashed, and not as lost: something in that process ended it,
    and not the whole machine. The next `sweep` makes them due again.
    """
    return connection.execute(
        text("""
            UPDATE photo SET lease_until = now(), token = NULL WHERE id IN (
                SELECT id FROM photo WHERE status = 'working' AND holder = :holder
                ORDER BY id FOR UPDATE SKIP LOCKED)
        """),
        {"holder": holder},
    ).rowcount


#: A photo that was lost with its machine says little against it; one whose process was seen to
#: die says more. Either may be the photo's doing, so neither may go on for ever.
_HOPELESS = "crashes + 1 >= CASE WHEN token IS NULL THEN :max_crashes ELSE :max_losses END"


def sweep(
    connection: Connection, *, max_crashes: int, max_losses: int, limit: int = 1000
) -> tuple[int, int]:
    """Makes photos due again whose lease ran out.

    A queued one was never claimed: its message is lost or late, and it keeps its place. A
    working one lost its worker, with all that this held: it goes to the slow lane. Before its
    last chance it travels alone, so that a photo that kills workers takes no other with it. One
    that crashed `max_crashes` times, or that so many as `max_losses` workers were lost with, is
    left to `give_up`.

    Returns:
        How many were (unclaimed, crashed).
    """
    before = connection.execute(
        text(f"""
            WITH expired AS (
                SELECT id, status FROM photo
                WHERE lease_until < now()
                    AND (status = 'queued' OR status = 'working' AND NOT {_HOPELESS})
                ORDER BY id LIMIT :limit
                FOR UPDATE SKIP LOCKED)
            UPDATE photo SET
                status = 'pending', lease_until = NULL, token = NULL, holder = NULL,
                due_at = CASE WHEN expired.status = 'working' THEN now() ELSE due_at END,
                lane = CASE WHEN expired.status = 'working' THEN 'slow' ELSE lane END,
                crashes = crashes + (expired.status = 'working')::int,
                alone = alone
                    OR expired.status = 'working' AND crashes + 2 >= :max_crashes
            FROM expired WHERE photo.id = expired.id
            RETURNING expired.status
        """),  # noqa: S608  # our own words
        {"max_crashes": max_crashes, "max_losses": max_losses, "limit": limit},
    ).scalars()
    statuses = list(before)
    return statuses.count(Status.QUEUED), statuses.count(Status.WORKING)


def listings_to_give_up(connection: Connection, *, max_crashes: int, max_losses: int) -> list[int]:
    """The listings of photos that `give_up` would fail; lock them before it."""
    return list(
        connection.execute(
            text(f"""
            SELECT DISTINCT listing_id FROM photo
            WHERE status = 'working' AND lease_until < now() AND {_HOPELESS}
            ORDER BY listing_id LIMIT 1000
        """),  # noqa: S608  # our own words
            {"max_crashes": max_crashes, "max_losses": max_losses},
        ).scalars()
    )


def give_up(
    connection: Connection, listing_ids: Sequence[int], *, max_crashes: int, max_losses: int
) -> list[int]:
    """Fails the photos of these listings whose worker died once too often.

    Returns:
        The listing of each photo that failed.
    """
    return list(
        connection.execute(
            text(f"""
            UPDATE photo SET status = 'failed', crashes = crashes + 1,
                error_code = :code,
                error_detail = 'the worker died ' || crashes + 1 || ' times',
                lease_until = NULL, token = NULL, holder = NULL, finished_at = now()
            WHERE listing_id = ANY(:listings) AND status = 'working'
                AND lease_until < now() AND {_HOPELESS}
            RETURNING listing_id
        """),  # noqa: S608  # our own words
            {
                "listings": list(listing_ids),
                "max_crashes": max_crashes,
                "max_losses": max_losses,
                "code": Crashed.code,
            },
        ).scalars()
    )


def wake_relay(connection: Connection) -> None:
    """Tells the relay, when this transaction commits, that photos are due."""
    connection.execute(text(f"NOTIFY {DUE_CHANNEL}"))
