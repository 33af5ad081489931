"""A listing as the page shows it: its photos, tags, flags, and what was voted."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from review.thresholds import thresholds
from shared.db import votes
from shared.db.decisions import Decisions
from shared.db.votes import TAG, Verdict
from shared.domain.photo import Status

#: What is shown of the photos of a listing.
PHOTOS: Final = 24
#: Why a photo is not shown that no worker has looked at yet: it may be one that kills decoders.
PENDING: Final = "pending"


@dataclass(frozen=True, slots=True)
class Opinions:
    """The votes on one subject."""

    mine: Verdict | None = None
    accepted: int = 0  #: by others
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """What can be voted on: a tag, or a flag."""

    kind: str  #: 'tag', or the flag's
    name: str  #: the tag, or what the flag is about
    score: float | None  #: None for a tag that a reviewer added
    opinions: Opinions
    threshold: float | None = None  #: of a tag
    reason: str = ""  #: of a flag


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo's row."""

    id: int
    number: int  #: 1, 2, 3, ... in the listing
    url: str
    content_sha256: bytes  #: of what was tagged
    missing: str  #: why it is not shown: the code that it failed with, or `pending`; '' if tagged


@dataclass(frozen=True, slots=True)
class Listing:
    """All that is shown of a listing."""

    id: int
    external_id: str
    title: str
    seller_tags: list[str]
    photos: list[Photo]
    more_photos: int  #: that are not shown
    flags: list[Subject]
    tags: list[Subject]
    photos_sha256: str  #: in hexadecimal, see `votes.photos_sha256`; '' where no photo was tagged
    model_version: str | None
    vocabulary: list[str] = field(default_factory=list[str])  #: of tags that it does not have


def read_listing(
    connection: Connection, listing_id: int, reviewer_id: int, decisions: Decisions
) -> Listing | None:
    """The listing; None where there is none, or it was deleted."""
    row = connection.execute(
        text(f"""
            SELECT id, external_id, title, seller_tags,
                (SELECT count(*) FROM photo WHERE listing_id = listing.id) AS photos,
                coalesce(encode({votes.photos_sha256("listing.id")}, 'hex'), '') AS photos_sha256
            FROM listing WHERE id = :id AND deleted_at IS NULL
        """),  # noqa: S608  # our own words
        {"id": listing_id},
    ).one_or_none()
    if row is None:
        return None
    opinions = _opinions(votes.of_listing(connection, listing_id), reviewer_id)
    given = connection.execute(
        text("""
            SELECT name, score, model_id, version FROM listing_tag
            JOIN tag ON tag.id = tag_id JOIN model ON model.id = model_id
            WHERE listing_id = :id ORDER BY rank
        """),
        {"id": listing_id},
    ).all()
    photos = _photos(connection, listing_id)
    reached = thresholds(connection, decisions, given[0].model_id if given else None)
    tags = [
        Subject(TAG, tag.name, tag.score, opinions[TAG, tag.name], reached.get(tag.name))
        for tag in given
    ]
    known = {tag.name for tag in tags}
    tags += [
        Subject(TAG, name, None, its)
        for (kind, name), its in sorted(opinions.items())
        if kind == TAG and name not in known
    ]
    return Listing(
        id=row.id,
        external_id=row.external_id,
        title=row.title,
        seller_tags=row.seller_tags,
        photos=photos,
        more_photos=row.photos - len(photos),
        flags=_flags(connection, listing_id, opinions),
        tags=tags,
        photos_sha256=row.photos_sha256,
        model_version=given[0].version if given else None,
        vocabulary=[tag for tag in reached if tag not in {tag.name for tag in tags}],
    )


def read_photo(connection: Connection, photo_id: int) -> Photo | None:
    """A photo; None where there is none with that id."""
    row = connection.execute(
        text(f"SELECT {_PHOTO}, 1 AS number FROM photo WHERE id = :id"),  # noqa: S608  # ours
        {"id": photo_id},
    ).one_or_none()
    return None if row is None else _photo(row)


def _opinions(cast: Sequence[Row[Any]], reviewer_id: int) -> defaultdict[tuple[str, str], Opinions]:
    mine: dict[tuple[str, str], Verdict] = {}
    others: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for vote in cast:
        subject = (vote.kind, vote.subject)
        if vote.reviewer_id == reviewer_id:
            mine[subject] = Verdict(vote.verdict)
        else:
            others[subject].append(vote.verdict)
    found: defaultdict[tuple[str, str], Opinions] = defaultdict(Opinions)
    for subject in {*mine, *others}:
        its = others[subject]
        found[subject] = Opinions(
            mine.get(subject), its.count(Verdict.ACCEPT), its.count(Verdict.REJECT)
        )
    return found


def _photos(connection: Connection, listing_id: int) -> list[Photo]:
    rows = connection.execute(
        text(f"""
            SELECT {_PHOTO}, row_number() OVER (ORDER BY position, id) AS number FROM photo
            WHERE listing_id = :id ORDER BY number LIMIT :limit
        """),  # noqa: S608  # our own words
        {"id": listing_id, "limit": PHOTOS},
    )
    return [_photo(row) for row in rows]


_PHOTO: Final = "id, url, status, error_code, content_sha256"


def _photo(row: Row[Any]) -> Photo:
    if row.status == Status.TAGGED:
        missing = ""
    else:
        missing = row.error_code if row.status == Status.FAILED else PENDING
    return Photo(row.id, row.number, row.url, bytes(row.content_sha256 or b""), missing)


def _flags(
    connection: Connection, listing_id: int, opinions: dict[tuple[str, str], Opinions]
) -> list[Subject]:
    rows = connection.execute(
        text("""
            SELECT kind, subject, score, reason FROM listing_flag
            WHERE listing_id = :id ORDER BY score DESC, kind, subject
        """),
        {"id": listing_id},
    )
    return [
        Subject(
            row.kind,
            row.subject,
            row.score,
            opinions.get((row.kind, row.subject), Opinions()),
            reason=row.reason,
        )
        for row in rows
    ]
