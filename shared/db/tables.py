"""The tables, as SQLAlchemy models. Migrations make them; a test keeps both the same."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, REAL, TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.domain.photo import Lane, Status


class Table(DeclarativeBase):
    """What all tables share: types by annotation, and names for constraints."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text(),
        int: BigInteger(),
        float: REAL(),
        bytes: LargeBinary(),
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text()),
        list[float]: ARRAY(REAL()),  # pyright: ignore[reportUnknownArgumentType]
        dict[str, Any]: JSONB(),
    }


#: For tables whose rows change several times while a backlog is worked off: the versions that
#: are left behind are cleared away at a fiftieth of the table instead of a fifth.
_HOT: dict[str, Any] = {
    "postgresql_with": {
        "autovacuum_vacuum_scale_factor": 0.02,
        "autovacuum_vacuum_threshold": 5000,
        "autovacuum_analyze_scale_factor": 0.05,
    }
}

#: Each claim of a photo or a training run draws a number that no other claim ever has.
fencing_token = Sequence("fencing_token", metadata=Table.metadata)


def _one_of(column: str, values: list[str]) -> CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


class Listing(Table):
    """A seller's listing, as its newest event left it."""

    __tablename__ = "listing"
    __table_args__ = _HOT

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    external_id: Mapped[str] = mapped_column(unique=True, comment="the marketplace's listing_id")
    title: Mapped[str] = mapped_column(server_default="")
    seller_tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    # The newest event wins; equal times are decided by event id, byte by byte.
    occurred_at: Mapped[datetime]
    event_id: Mapped[str] = mapped_column(Text(collation="C"))
    deleted_at: Mapped[datetime | None]
    doc_version: Mapped[int] = mapped_column(
        server_default="0", comment="version of its newest document in search_feed"
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Model(Table):
    """A model version that scored photos, or may."""

    __tablename__ = "model"
    __table_args__ = (_one_of("status", ["candidate", "champion", "retired"]),)

    id: Mapped[int] = mapped_column(Integer(), Identity(always=True), primary_key=True)
    version: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(server_default="candidate")
    recipe: Mapped[dict[str, Any]] = mapped_column(comment="how it was trained")
    metrics: Mapped[dict[str, Any]]
    dataset_sha256: Mapped[str]
    decision: Mapped[dict[str, Any]] = mapped_column(
        comment="vocabulary, thresholds and related-tag matrix: from scores to tags"
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    location: Mapped[str | None] = mapped_column(comment="folder or URL of its artifact")
    manifest_sha256: Mapped[str | None] = mapped_column(comment="of the artifact registered")
    shadow_share: Mapped[float | None] = mapped_column(
        comment="share of live photos it scores beside the champion"
    )


class ModelDecision(Table):
    """A version of a model's decision; the one in the model's own row is number 1."""

    __tablename__ = "decision"
    __table_args__ = (
        UniqueConstraint("model_id", "number"),
        Index("ix_decision_active", "model_id", unique=True, postgresql_where=text("active")),
    )

    id: Mapped[int] = mapped_column(Integer(), Identity(always=True), primary_key=True)
    model_id: Mapped[int] = mapped_column(Integer(), ForeignKey("model.id"))
    number: Mapped[int] = mapped_column(Integer(), comment="1, 2, 3, ... of its model")
    content: Mapped[dict[str, Any]] = mapped_column(
        comment="vocabulary, thresholds and related-tag matrix: from scores to tags"
    )
    reason: Mapped[str] = mapped_column(comment="where it came from, in words")
    active: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="the model's scores become tags by this one"
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Promotion(Table):
    """A model became the champion."""

    __tablename__ = "promotion"
    __table_args__ = (_one_of("kind", ["first", "gate", "forced", "rollback"]),)

    id: Mapped[int] = mapped_column(Integer(), Identity(always=True), primary_key=True)
    model_id: Mapped[int] = mapped_column(Integer(), ForeignKey("model.id"))
    previous_id: Mapped[int | None] = mapped_column(
        Integer(), ForeignKey("model.id"), comment="the champion before it"
    )
    kind: Mapped[str] = mapped_column(comment="what allowed it")
    gate: Mapped[dict[str, Any]] = mapped_column(comment="the numbers it was decided by")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Tag(Table):
    """A word of the vocabulary, or one that is only recommended."""

    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(Integer(), Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    parent_id: Mapped[int | None] = mapped_column(Integer(), ForeignKey("tag.id"))


class Photo(Table):
    """One photo of one listing: its way through the queue, and what was seen on it."""

    __tablename__ = "photo"
    __table_args__ = (
        UniqueConstraint("listing_id", "url_sha256"),
        _one_of("status", [*Status]),
        _one_of("lane", [*Lane]),
        Index(
            "ix_photo_due",
            "lane",
            "alone",
            "due_at",
            postgresql_where=text("status = 'pending'"),
        ),
        Index(
            "ix_photo_lease",
            "lease_until",
            postgresql_where=text("status IN ('queued', 'working')"),
        ),
        _HOT,
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(SmallInteger(), comment="order in the listing, from 0")
    url: Mapped[str]
    url_sha256: Mapped[bytes]
    status: Mapped[str] = mapped_column(server_default=Status.PENDING)
    lane: Mapped[str] = mapped_column(server_default=Lane.TAGGING)
    alone: Mapped[bool] = mapped_column(
        server_default=text("false"),
        comment="it may harm batch mates: worked on by itself",
    )
    attempt: Mapped[int] = mapped_column(SmallInteger(), server_default="0")
    crashes: Mapped[int] = mapped_column(SmallInteger(), server_default="0")
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    lease_until: Mapped[datetime | None]
    token: Mapped[int | None] = mapped_column(comment="fencing token of the claim that holds it")
    holder: Mapped[int | None] = mapped_column(
        comment="worker process that claimed it, in all its lives"
    )
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
    content_sha256: Mapped[bytes | None]
    content_bytes: Mapped[int | None] = mapped_column(Integer())
    width: Mapped[int | None] = mapped_column(Integer(), comment="pixels")
    height: Mapped[int | None] = mapped_column(Integer(), comment="pixels")
    phash: Mapped[int | None] = mapped_column(
        comment="perceptual hash, 64 bits: copies of a photo differ in few"
    )
    scores: Mapped[list[float] | None] = mapped_column(
        comment="every score, in the order of the model's vocabulary"
    )
    model_id: Mapped[int | None] = mapped_column(Integer(), ForeignKey("model.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    # No foreign key: checking one would hold a large table locked while it is made.
    decision_id: Mapped[int | None] = mapped_column(
        Integer(), comment="the decision that made its tags out of its scores"
    )
    resting_since: Mapped[datetime | None] = mapped_column(
        comment="when it was first sent back because its host rests"
    )


class ShadowScore(Table):
    """What a shadow model saw on a photo. It never becomes a tag."""

    __tablename__ = "shadow_score"

    photo_id: Mapped[int] = mapped_column(
        ForeignKey("photo.id", ondelete="CASCADE"), primary_key=True
    )
    model_id: Mapped[int] = mapped_column(Integer(), ForeignKey("model.id"), primary_key=True)
    scores: Mapped[list[float]] = mapped_column(
        comment="every score, in the order of the model's vocabulary"
    )
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


# The three tables of tags refer to tags and models without foreign keys: there are about ten of
# these rows for each photo, checking them was a third of what Postgres did for it, and neither
# tags nor models are ever deleted.


class PhotoTag(Table):
    """A tag read off one photo."""

    __tablename__ = "photo_tag"
    __table_args__ = (Index(None, "tag_id", "score"),)

    photo_id: Mapped[int] = mapped_column(
        ForeignKey("photo.id", ondelete="CASCADE"), primary_key=True
    )
    tag_id: Mapped[int] = mapped_column(Integer(), primary_key=True)
    score: Mapped[float]
    rank: Mapped[int] = mapped_column(SmallInteger(), comment="1 is the best")
    model_id: Mapped[int] = mapped_column(Integer())


class ListingTag(Table):
    """A tag of a listing, fused over its photos."""

    __tablename__ = "listing_tag"
    __table_args__ = (Index(None, "tag_id", "score"),)

    listing_id: Mapped[int] = mapped_column(
        ForeignKey("listing.id", ondelete="CASCADE"), primary_key=True
    )
    tag_id: Mapped[int] = mapped_column(Integer(), primary_key=True)
    score: Mapped[float]
    rank: Mapped[int] = mapped_column(SmallInteger(), comment="1 is the best")
    model_id: Mapped[int] = mapped_column(Integer())


class RelatedTag(Table):
    """A tag recommended for a listing because it goes with the listing's own."""

    __tablename__ = "related_tag"
    __table_args__ = (Index(None, "tag_id"),)

    listing_id: Mapped[int] = mapped_column(
        ForeignKey("listing.id", ondelete="CASCADE"), primary_key=True
    )
    tag_id: Mapped[int] = mapped_column(Integer(), primary_key=True)
    score: Mapped[float] = mapped_column(comment="sum of cosine similarities")
    rank: Mapped[int] = mapped_column(SmallInteger(), comment="1 is the best")
    model_id: Mapped[int] = mapped_column(Integer())


class ListingFlag(Table):
    """A doubt about a listing, with its reason in words. It never blocks anything."""

    __tablename__ = "listing_flag"
    # What reviewers are shown first, of all kinds and of one; and the copies of a listing.
    __table_args__ = (
        Index(None, "score", "listing_id"),
        Index(None, "kind", "score", "listing_id"),
        Index("ix_listing_flag_reused", "subject", postgresql_where=text("kind = 'reused_photo'")),
    )

    listing_id: Mapped[int] = mapped_column(
        ForeignKey("listing.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(
        primary_key=True, comment="the tag or the earlier listing that it is about, or ''"
    )
    score: Mapped[float]
    reason: Mapped[str]
    shadow: Mapped[bool] = mapped_column(
        server_default=text("true"), comment="only noted: no document mentions it"
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PhotoFingerprint(Table):
    """A look that photos have, to be found by parts of it: once, however many have it."""

    __tablename__ = "photo_fingerprint"
    # Without `fastupdate`: each search would read through what is not sorted in yet.
    __table_args__ = (
        Index(
            "ix_photo_fingerprint_keys",
            "keys",
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        ),
    )

    phash: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    keys: Mapped[list[int]] = mapped_column(
        ARRAY(Integer()), comment="parts of the hash with their place; copies share one at least"
    )


class ListingFingerprint(Table):
    """A look that a listing's photos have."""

    __tablename__ = "listing_fingerprint"
    __table_args__ = (Index(None, "phash", "since", "listing_id"),)

    listing_id: Mapped[int] = mapped_column(
        ForeignKey("listing.id", ondelete="CASCADE"), primary_key=True
    )
    phash: Mapped[int] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(
        comment="when a photo that looks so was first recorded under the listing"
    )


class TrainingRun(Table):
    """One training, from the request to the model it made."""

    __tablename__ = "training_run"
    __table_args__ = (
        _one_of("status", ["pending", "queued", "running", "succeeded", "failed"]),
        Index("ix_training_run_open", "status", postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    status: Mapped[str] = mapped_column(server_default="pending")
    request: Mapped[dict[str, Any]] = mapped_column(comment="what to train on, where to, and how")
    progress: Mapped[dict[str, Any] | None] = mapped_column(comment="stage, epoch, losses")
    attempt: Mapped[int] = mapped_column(SmallInteger(), server_default="0")
    lease_until: Mapped[datetime | None]
    token: Mapped[int | None]
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
    model_id: Mapped[int | None] = mapped_column(Integer(), ForeignKey("model.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class SearchFeed(Table):
    """What the search indexer reads: an append-only log of listing documents."""

    __tablename__ = "search_feed"
    __table_args__ = (UniqueConstraint("listing_id", "doc_version"),)

    position: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment="1, 2, 3, ... in the order of commits"
    )
    listing_id: Mapped[str] = mapped_column(comment="the marketplace's listing_id")
    doc_version: Mapped[int]
    document: Mapped[dict[str, Any] | None] = mapped_column(comment="null: the listing is gone")
    aggregatetype: Mapped[str] = mapped_column(
        server_default="listing", comment="what Debezium's outbox event router routes by"
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class FeedHead(Table):
    """One row: the last position given out in search_feed."""

    __tablename__ = "feed_head"
    __table_args__ = (CheckConstraint("only_row", name="only_row"),)

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    position: Mapped[int]


class SearchDocument(Table):
    """The index in Postgres: a listing's newest document, and the words that find it."""

    __tablename__ = "search_document"
    __table_args__ = (
        Index("ix_search_document_words", "words", postgresql_using="gin"),
        Index("ix_search_document_tags", "tags", postgresql_using="gin"),
    )

    listing_id: Mapped[str] = mapped_column(primary_key=True)
    doc_version: Mapped[int]
    occurred_at: Mapped[datetime]
    title: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(comment="read off its photos, the best first")
    seller_tags: Mapped[list[str]]
    related_tags: Mapped[list[str]]
    words: Mapped[str] = mapped_column(
        TSVECTOR(), comment="weighted: A tags, B title, C seller's tags, D related tags"
    )
    indexed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class FeedCursor(Table):
    """How far a follower of the feed has come."""

    __tablename__ = "feed_cursor"

    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(server_default="0")
    moved_at: Mapped[datetime] = mapped_column(server_default=func.now())


class FeedRefusal(Table):
    """A document that a follower could not take, until it takes a newer version."""

    __tablename__ = "feed_refusal"

    name: Mapped[str] = mapped_column(primary_key=True, comment="of the follower")
    listing_id: Mapped[str] = mapped_column(primary_key=True)
    doc_version: Mapped[int]
    reason: Mapped[str]
    refused_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RejectedEvent(Table):
    """An event line that could not be recorded, kept with the reason."""

    __tablename__ = "rejected_event"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    line_sha256: Mapped[bytes] = mapped_column(unique=True)
    line: Mapped[str] = mapped_column(comment="its first 64 KiB; undecodable bytes escaped")
    line_bytes: Mapped[int] = mapped_column(comment="its whole length")
    code: Mapped[str]
    reason: Mapped[str]
    source: Mapped[str] = mapped_column(comment="file name and line number, as first seen")
    times: Mapped[int] = mapped_column(Integer(), server_default="1")
    first_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    backfill: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="its photos belong behind all new ones"
    )


class WebhookDelivery(Table):
    """A signed request whose events were recorded, kept while it could be replayed."""

    __tablename__ = "webhook_delivery"

    webhook_id: Mapped[str] = mapped_column(primary_key=True, comment="mark of the key:webhook-id")
    content_sha256: Mapped[bytes]
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class Reviewer(Table):
    """Somebody who looks at tags and flags and votes on them."""

    __tablename__ = "reviewer"

    id: Mapped[int] = mapped_column(Integer(), Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password_sha256: Mapped[bytes | None] = mapped_column(comment="null: may not sign in")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ReviewSession(Table):
    """A reviewer who is signed in, in one browser."""

    __tablename__ = "review_session"

    token_sha256: Mapped[bytes] = mapped_column(primary_key=True)
    reviewer_id: Mapped[int] = mapped_column(Integer(), ForeignKey("reviewer.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class Vote(Table):
    """What a reviewer says of a tag of a listing, or of a flag."""

    __tablename__ = "vote"
    __table_args__ = (
        _one_of("verdict", ["accept", "reject"]),
        Index(None, "reviewer_id", "voted_at"),
    )

    listing_id: Mapped[int] = mapped_column(
        ForeignKey("listing.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(primary_key=True, comment="'tag', or the flag's kind")
    subject: Mapped[str] = mapped_column(
        primary_key=True, comment="the tag, or what the flag is about"
    )
    reviewer_id: Mapped[int] = mapped_column(Integer(), ForeignKey("reviewer.id"), primary_key=True)
    verdict: Mapped[str]
    score: Mapped[float | None] = mapped_column(
        comment="the tag's or flag's at that time; null: a tag that the model did not give"
    )
    model_id: Mapped[int | None] = mapped_column(
        Integer(), comment="whose tag it was, or the champion at that time"
    )
    photos_sha256: Mapped[bytes | None] = mapped_column(
        comment="of the content_sha256 of the photos that were shown, sorted; null: none"
    )
    voted_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    replaced: Mapped[dict[str, Any] | None] = mapped_column(
        comment="the reviewer's vote before, which undoing brings back"
    )
