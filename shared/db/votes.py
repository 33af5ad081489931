"""Votes of reviewers: on the tags of a listing, and on its flags.

A reviewer has one vote on each subject, which the next one replaces. A listing's verdict on a
subject is what most of its reviewers say; where they are even there is none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, text

#: The kind of votes on tags; the others are kinds of flags.
TAG: Final = "tag"
_BATCH_ROWS: Final = 1000


class Verdict(StrEnum):
    """What a reviewer says."""

    ACCEPT = "accept"  #: the tag is right; the flag is right
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Vote:
    """What one reviewer says of one subject of a listing."""

    reviewer_id: int
    listing_id: int
    kind: str  #: `TAG`, or the flag's kind
    subject: str  #: the tag, or what the flag is about
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class LabelledListing:
    """A listing whose tags are all decided by votes.

    Attributes:
        listing_id: the marketplace's.
        tags: the accepted ones, sorted; none where all were rejected.
        parents: of these tags, as far as they have one: tag -> the tag above it.
        urls: of its photos that were tagged, in their order.
    """

    listing_id: str
    tags: list[str]
    parents: dict[str, str]
    urls: list[str]


def cast(connection: Connection, vote: Vote) -> bool:
    """Votes, instead of what the reviewer said of this subject before.

    Returns:
        Whether there is such a listing, and such a subject. A tag that the listing does not have
        can be accepted: the model missed it.
    """
    done = connection.execute(
        text(f"""
            INSERT INTO vote (listing_id, kind, subject, score, model_id, reviewer_id, verdict)
            SELECT found.*, :reviewer_id, :verdict
            FROM ({_TAG if vote.kind == TAG else _FLAG}) AS found
            ON CONFLICT (listing_id, kind, subject, reviewer_id) DO UPDATE SET
                verdict = excluded.verdict, score = excluded.score,
                model_id = excluded.model_id, voted_at = clock_timestamp()
        """),  # noqa: S608  # our own statements
        asdict(vote),
    )
    return done.rowcount == 1


def take_back(connection: Connection, reviewer_id: int) -> int | None:
    """Undoes a reviewer's newest vote; returns its listing, None where there is no vote."""
    return connection.execute(
        text("""
            DELETE FROM vote WHERE (listing_id, kind, subject, reviewer_id) = (
                SELECT listing_id, kind, subject, reviewer_id FROM vote
                WHERE reviewer_id = :reviewer_id ORDER BY voted_at DESC LIMIT 1)
            RETURNING listing_id
        """),
        {"reviewer_id": reviewer_id},
    ).scalar_one_or_none()


def of_listing(connection: Connection, listing_id: int) -> Sequence[Row[Any]]:
    """All votes on a listing: kind, subject, reviewer_id, verdict, score."""
    return connection.execute(
        text("""
            SELECT kind, subject, reviewer_id, verdict, score FROM vote
            WHERE listing_id = :id ORDER BY voted_at
        """),
        {"id": listing_id},
    ).all()


def tallies(connection: Connection, model_id: int | None = None) -> Sequence[Row[Any]]:
    """For each tag, and each kind of flag, how many listings have it accepted and rejected.

    Tags that reviewers added are not among them: no model gave them.

    Args:
        connection: any.
        model_id: only what this model gave.

    Returns:
        kind, subject (a tag's name, '' for flags), accepted, rejected, even.
    """
    return connection.execute(
        text("""
            SELECT kind, name AS subject, count(*) FILTER (WHERE balance > 0) AS accepted,
                count(*) FILTER (WHERE balance < 0) AS rejected,
                count(*) FILTER (WHERE balance = 0) AS even
            FROM (
                SELECT kind, CASE kind WHEN 'tag' THEN subject ELSE '' END AS name,
                    sum(CASE verdict WHEN 'accept' THEN 1 ELSE -1 END) AS balance
                FROM vote
                WHERE score IS NOT NULL AND model_id = coalesce(:model_id, model_id)
                GROUP BY listing_id, kind, subject) AS verdicts
            GROUP BY kind, name ORDER BY kind <> 'tag', kind, name
        """),
        {"model_id": model_id},
    ).all()


def labelled(connection: Connection) -> Iterator[LabelledListing | str]:
    """The listings that reviewers have decided, a few at a time out of the database.

    Of every listing with a vote on a tag comes either its labels or, as a word, why it has none:
    `deleted_listing`, `no_tagged_photo`, `undecided_tag` for one that has a tag without any vote,
    or `even_votes`.
    """
    result = connection.execution_options(yield_per=_BATCH_ROWS).execute(text(_LABELLED))
    for row in result:
        if row.reason is not None:
            yield row.reason
            continue
        parents: dict[str, str] = {tag: above for tag, above in row.parents if above}
        yield LabelledListing(row.external_id, row.tags, parents, row.urls)


_LABELLED: Final = """
    WITH verdict AS (
        SELECT listing_id, subject,
            sum(CASE verdict WHEN 'accept' THEN 1 ELSE -1 END) AS balance
        FROM vote WHERE kind = 'tag' GROUP BY listing_id, subject),
    judged AS (
        SELECT listing_id, bool_or(balance = 0) AS even,
            coalesce(array_agg(subject ORDER BY subject COLLATE "C") FILTER (WHERE balance > 0),
                '{}') AS tags
        FROM verdict GROUP BY listing_id)
    SELECT external_id, tags, urls,
        (SELECT coalesce(json_agg(json_build_array(tag.name, above.name)), '[]')
            FROM tag LEFT JOIN tag AS above ON above.id = tag.parent_id
            WHERE tag.name = ANY(tags)) AS parents,
        CASE WHEN deleted_at IS NOT NULL THEN 'deleted_listing'
            WHEN urls IS NULL THEN 'no_tagged_photo'
            WHEN EXISTS (
                SELECT FROM listing_tag JOIN tag ON tag.id = tag_id
                WHERE listing_tag.listing_id = listing.id AND NOT EXISTS (
                    SELECT FROM vote WHERE vote.listing_id = listing.id
                        AND kind = 'tag' AND subject = tag.name)) THEN 'undecided_tag'
            WHEN even THEN 'even_votes' END AS reason
    FROM judged JOIN listing ON listing.id = judged.listing_id LEFT JOIN LATERAL (
        SELECT array_agg(url ORDER BY position, photo.id) AS urls FROM photo
        WHERE photo.listing_id = listing.id AND status = 'tagged') AS photos ON true
    ORDER BY listing.id
"""


_TAG: Final = """
    SELECT listing.id, 'tag', tag.name, listing_tag.score,
        coalesce(listing_tag.model_id, (SELECT id FROM model WHERE status = 'champion'))
    FROM listing JOIN tag ON tag.name = :subject
        LEFT JOIN listing_tag ON listing_tag.listing_id = listing.id AND tag_id = tag.id
    WHERE listing.id = :listing_id AND deleted_at IS NULL
        AND (listing_tag.score IS NOT NULL OR :verdict = 'accept' OR EXISTS (
            SELECT FROM vote WHERE vote.listing_id = listing.id
                AND kind = 'tag' AND subject = tag.name))
"""

_FLAG: Final = """
    SELECT listing.id, kind, subject, score, (SELECT id FROM model WHERE status = 'champion')
    FROM listing JOIN listing_flag ON listing_flag.listing_id = listing.id
    WHERE listing.id = :listing_id AND deleted_at IS NULL
        AND kind = :kind AND subject = :subject
"""
