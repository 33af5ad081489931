"""Votes of reviewers: on the tags of a listing, and on its flags.

A reviewer has one vote on each subject, which the next one replaces. A listing's verdict on a
subject is what most of its reviewers say; where they are even there is none. A vote is about what
was shown: it holds for a listing while its photos are the same, and for a flag from then on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from shared.domain.vocabulary import canonical

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
    photos_sha256: bytes | None  #: of the photos that were shown, see `photos_sha256`


@dataclass(frozen=True, slots=True)
class LabelledListing:
    """A listing whose tags are all decided by votes.

    Attributes:
        listing_id: the marketplace's.
        tags: the accepted ones, sorted; none where all were rejected.
        parents: of these tags, as far as they have one: tag -> the tag above it.
        urls: of its photos that were tagged, in their order.
        content_sha256: of these photos' bytes, in hexadecimal.
    """

    listing_id: str
    tags: list[str]
    parents: dict[str, str]
    urls: list[str]
    content_sha256: list[str]


def photos_sha256(listing_id: str) -> str:
    """SQL that tells a listing's photos from others, whatever their order.

    Null where none was tagged.

    Args:
        listing_id: SQL of its row id.
    """
    return f"""(
        SELECT sha256(string_agg(content_sha256, '' ORDER BY content_sha256)) FROM photo
        WHERE photo.listing_id = {listing_id} AND status = 'tagged')"""  # noqa: S608  # our own


def cast(connection: Connection, vote: Vote) -> bool:
    """Votes, instead of what the reviewer said of this subject before.

    Returns:
        Whether there is such a listing, with these photos, and such a subject. A tag that the
        listing does not have can be accepted: the model missed it.
    """
    parameters = asdict(vote) | {
        "canonical": canonical(vote.subject),
        # Browsers post each as CR LF (HTML, constructing the entry list).
        "line_break": "\r\n|\r|\n",
    }
    done = connection.execute(
        text(f"""
            INSERT INTO vote (
                listing_id, kind, subject, score, model_id, reviewer_id, verdict, photos_sha256)
            SELECT found.*, :reviewer_id, :verdict, :photos_sha256
            FROM ({_TAG if vote.kind == TAG else _FLAG}) AS found
            WHERE {photos_sha256(":listing_id")}
                IS NOT DISTINCT FROM CAST(:photos_sha256 AS bytea)
            ON CONFLICT (listing_id, kind, subject, reviewer_id) DO UPDATE SET
                verdict = excluded.verdict, score = excluded.score,
                model_id = excluded.model_id, photos_sha256 = excluded.photos_sha256,
                voted_at = clock_timestamp(), replaced = to_jsonb(vote) - 'replaced'
        """),  # noqa: S608  # our own statements
        parameters,
    )
    return done.rowcount > 0


def take_back(connection: Connection, reviewer_id: int) -> int | None:
    """Undoes a reviewer's newest vote; the one that it replaced, if any, holds again.

    Returns:
        Its listing; None where there is no vote.
    """
    newest = connection.execute(
        text("""
            SELECT listing_id, kind, subject, replaced IS NOT NULL AS replaces
            FROM vote WHERE reviewer_id = :reviewer_id ORDER BY voted_at DESC LIMIT 1 FOR UPDATE
        """),
        {"reviewer_id": reviewer_id},
    ).one_or_none()
    if newest is None:
        return None
    connection.execute(
        text(_RESTORE if newest.replaces else _DELETE),
        {
            "listing_id": newest.listing_id,
            "kind": newest.kind,
            "subject": newest.subject,
            "reviewer_id": reviewer_id,
        },
    )
    return newest.listing_id


_THIS: Final = """
    WHERE listing_id = :listing_id AND kind = :kind AND subject = :subject
        AND reviewer_id = :reviewer_id"""
_DELETE: Final = f"DELETE FROM vote {_THIS}"  # noqa: S608  # our own words
_RESTORE: Final = f"""
    UPDATE vote SET (verdict, score, model_id, photos_sha256, voted_at, replaced) = (
        SELECT verdict, score, model_id, photos_sha256, voted_at, NULL::jsonb
        FROM jsonb_populate_record(NULL::vote, vote.replaced)) {_THIS}"""  # noqa: S608  # ours


def of_listing(connection: Connection, listing_id: int) -> Sequence[Row[Any]]:
    """The votes on a listing that hold for it as it is: kind, subject, reviewer_id, verdict."""
    return connection.execute(
        text(f"""
            SELECT kind, subject, reviewer_id, verdict
            FROM vote LEFT JOIN listing_flag USING (listing_id, kind, subject)
            WHERE listing_id = :id AND (kind = 'tag' OR voted_at >= created_at)
                AND photos_sha256 IS NOT DISTINCT FROM {photos_sha256(":id")}
            ORDER BY voted_at
        """),  # noqa: S608  # our own words
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
                WHERE score IS NOT NULL
                    AND (CAST(:model_id AS int) IS NULL OR model_id = :model_id)
                GROUP BY listing_id, kind, subject) AS verdicts
            GROUP BY kind, name ORDER BY kind <> 'tag', kind, name
        """),
        {"model_id": model_id},
    ).all()


def labelled(connection: Connection) -> Iterator[LabelledListing | str]:
    """The listings that reviewers have decided, a few at a time out of the database.

    Of every listing with a vote on a tag comes either its labels or, as a word, why it has none:
    `deleted_listing`, `no_tagged_photo`, `changed_photos` where all votes are of other photos than
    it has, `undecided_tag` for one that has a tag without any vote, or `even_votes`.
    """
    result = connection.execution_options(yield_per=_BATCH_ROWS).execute(text(_LABELLED))
    for row in result:
        if row.reason is not None:
            yield row.reason
            continue
        parents: dict[str, str] = {tag: above for tag, above in row.parents if above}
        yield LabelledListing(row.external_id, row.tags, parents, row.urls, row.content_sha256)


_LABELLED: Final = """
    SELECT external_id, tags, urls, photos.content_sha256,
        (SELECT coalesce(json_agg(json_build_array(tag.name, above.name)), '[]')
            FROM tag LEFT JOIN tag AS above ON above.id = tag.parent_id
            WHERE tag.name = ANY(tags)) AS parents,
        CASE WHEN deleted_at IS NOT NULL THEN 'deleted_listing'
            WHEN urls IS NULL THEN 'no_tagged_photo'
            WHEN subjects = 0 THEN 'changed_photos'
            WHEN EXISTS (
                SELECT FROM listing_tag JOIN tag ON tag.id = tag_id
                WHERE listing_tag.listing_id = listing.id AND NOT EXISTS (
                    SELECT FROM vote WHERE vote.listing_id = listing.id AND kind = 'tag'
                        AND subject = tag.name AND photos_sha256 = photos.sha256)
                ) THEN 'undecided_tag'
            WHEN even THEN 'even_votes' END AS reason
    FROM (SELECT DISTINCT listing_id FROM vote WHERE kind = 'tag') AS voted
        JOIN listing ON listing.id = voted.listing_id
        CROSS JOIN LATERAL (
            SELECT array_agg(url ORDER BY position, photo.id) AS urls,
                array_agg(encode(content_sha256, 'hex') ORDER BY position, photo.id)
                    AS content_sha256,
                sha256(string_agg(content_sha256, '' ORDER BY content_sha256)) AS sha256
            FROM photo WHERE photo.listing_id = listing.id AND status = 'tagged') AS photos
        CROSS JOIN LATERAL (
            SELECT count(*) AS subjects, bool_or(balance = 0) AS even,
                coalesce(array_agg(subject ORDER BY subject COLLATE "C")
                    FILTER (WHERE balance > 0), '{}') AS tags
            FROM (
                SELECT subject, sum(CASE verdict WHEN 'accept' THEN 1 ELSE -1 END) AS balance
                FROM vote WHERE vote.listing_id = listing.id AND kind = 'tag'
                    AND photos_sha256 = photos.sha256
                GROUP BY subject) AS verdict) AS judged
    ORDER BY listing.id
"""


_TAG: Final = """
    SELECT listing.id, 'tag', tag.name, listing_tag.score,
        coalesce(listing_tag.model_id, (SELECT id FROM model WHERE status = 'champion'))
    FROM listing
        JOIN (
            SELECT id, name FROM tag WHERE name = :subject OR lower(name) = :canonical
            ORDER BY name <> :subject LIMIT 1) AS tag ON true
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
        AND kind = :kind AND regexp_replace(subject, :line_break, ' ', 'g')
            = regexp_replace(:subject, :line_break, ' ', 'g')
"""
