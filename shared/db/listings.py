"""A listing's own tags: fused over its photos, and published to the search feed."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from shared.db import listing_flags, search_feed
from shared.db.copy import copy_numbers
from shared.db.decisions import Decisions
from shared.db.fused_scores import fused_scores
from shared.db.models import tag_ids
from shared.domain.decision import Scored
from shared.domain.photo import Status


def lock(connection: Connection, listing_ids: Collection[int]) -> None:
    """Locks listings before any of their photos are written, in the order intake uses too.

    As strongly as intake's upsert does: rows of other tables may refer to them meanwhile.
    """
    connection.execute(
        text("""
            SELECT id FROM listing WHERE id = ANY(:ids)
            ORDER BY external_id COLLATE "C" FOR NO KEY UPDATE
        """),
        {"ids": sorted(set(listing_ids))},
    )


def publish(connection: Connection, listing_ids: Collection[int], decisions: Decisions) -> None:
    """Decides the tags of listings again and appends their documents to the feed.

    Call it last in a transaction that holds these listings locked: it takes the feed's
    counter, and everyone else who publishes waits for it.
    """
    _write(connection, _drafts(connection, listing_ids, decisions))


def publish_changed(
    connection: Connection, listing_ids: Collection[int], decisions: Decisions
) -> int:
    """Publishes those of the listings whose document would not be what it was.

    Returns:
        How many these are.
    """
    changed = _changed(connection, _drafts(connection, listing_ids, decisions))
    _write(connection, changed)
    return len(changed)


def count_changed(
    connection: Connection, listing_ids: Collection[int], decisions: Decisions
) -> int:
    """How many listings `publish_changed` would publish."""
    return len(_changed(connection, _drafts(connection, listing_ids, decisions)))


@dataclass(frozen=True, slots=True)
class _Decided:
    model_id: int | None
    model_version: str | None
    tags: list[Scored]
    related: list[Scored]


#: Of a listing without tagged photos, and of one that is deleted.
_UNDECIDED = _Decided(None, None, [], [])


@dataclass(frozen=True, slots=True)
class _Draft:
    """What would be published for a listing; a tombstone has no document."""

    external_id: str
    doc_version: int
    decided: _Decided
    document: dict[str, Any] | None


def _drafts(
    connection: Connection, listing_ids: Collection[int], decisions: Decisions
) -> dict[int, _Draft]:
    ids = sorted(set(listing_ids))
    if not ids:
        return {}
    photos: defaultdict[int, list[Row[Any]]] = defaultdict(list)
    for photo in connection.execute(
        text("""
            SELECT listing_id, status, scores, model_id, finished_at FROM photo
            WHERE listing_id = ANY(:ids) ORDER BY listing_id, position, id
        """),
        {"ids": ids},
    ):
        photos[photo.listing_id].append(photo)
    listings = connection.execute(
        text("""
            SELECT id, external_id, title, seller_tags, occurred_at, deleted_at, doc_version
            FROM listing WHERE id = ANY(:ids) ORDER BY id
        """),
        {"ids": ids},
    ).all()
    decided = _decide(connection, listings, photos, decisions)
    flags = listing_flags.published(connection, ids)
    drafts: dict[int, _Draft] = {}
    for listing in listings:
        its = decided.get(listing.id, _UNDECIDED)
        document = None if listing.deleted_at else _document(listing, its, photos[listing.id])
        if document is not None and listing.id in flags:
            document["flags"] = flags[listing.id]
        drafts[listing.id] = _Draft(listing.external_id, listing.doc_version, its, document)
    return drafts


def _changed(connection: Connection, drafts: Mapping[int, _Draft]) -> dict[int, _Draft]:
    """Those that differ from what the feed says last."""
    published = {
        row.listing_id: row.document
        for row in connection.execute(
            text("""
                SELECT listing_id, document FROM search_feed
                WHERE (listing_id, doc_version) IN (SELECT * FROM unnest(
                    CAST(:listings AS text[]), CAST(:versions AS bigint[])))
            """),
            {
                "listings": [draft.external_id for draft in drafts.values()],
                "versions": [draft.doc_version for draft in drafts.values()],
            },
        )
    }
    # A tombstone may have been compacted away: nothing and nothing are the same.
    return {
        id_: draft
        for id_, draft in drafts.items()
        if draft.document != published.get(draft.external_id)
    }


def _write(connection: Connection, drafts: Mapping[int, _Draft]) -> None:
    if not drafts:
        return
    decided = {id_: draft.decided for id_, draft in drafts.items()}
    _replace(connection, "listing_tag", {id_: (d.model_id, d.tags) for id_, d in decided.items()})
    _replace(
        connection, "related_tag", {id_: (d.model_id, d.related) for id_, d in decided.items()}
    )
    search_feed.append(connection, {id_: draft.document for id_, draft in drafts.items()})


def _decide(
    connection: Connection,
    listings: Sequence[Row[Any]],
    photos: Mapping[int, Sequence[Row[Any]]],
    decisions: Decisions,
) -> dict[int, _Decided]:
    """The tags of those listings that have any photo to read them from."""
    sellers = {row.id: row.seller_tags for row in listings if not row.deleted_at}
    its_photos = {id_: photos[id_] for id_ in sellers}
    decided: dict[int, _Decided] = {}
    for fused in fused_scores(connection, its_photos, decisions):
        version, decision = fused.active.model_version, fused.active.decision
        tags = decision.tags(fused.scores)
        related = decision.related_tags(
            [
                ([tag for tag, _ in its], sellers[id_])
                for id_, its in zip(fused.listing_ids, tags, strict=True)
            ]
        )
        for id_, its, recommended in zip(fused.listing_ids, tags, related, strict=True):
            decided[id_] = _Decided(fused.model_id, version, its, recommended)
    return decided


def _document(listing: Row[Any], decided: _Decided, photos: Iterable[Row[Any]]) -> dict[str, Any]:
    """What a search index stores for a listing."""
    statuses = [photo.status for photo in photos]
    tagged, failed = statuses.count(Status.TAGGED), statuses.count(Status.FAILED)
    return {
        "listing_id": listing.external_id,
        "title": listing.title,
        "seller_tags": listing.seller_tags,
        "occurred_at": listing.occurred_at.isoformat(),
        "tags": [{"tag": tag, "score": round(score, 4)} for tag, score in decided.tags],
        "related_tags": [{"tag": tag, "score": round(score, 4)} for tag, score in decided.related],
        "photos": {
            "tagged": tagged,
            "failed": failed,
            "pending": len(statuses) - tagged - failed,
        },
        "model_version": decided.model_version,
    }


def _replace(
    connection: Connection,
    table: str,
    scored: dict[int, tuple[int | None, list[Scored]]],
) -> None:
    """Replaces the scored tags of listings in `listing_tag` or `related_tag`."""
    connection.execute(
        text(f"DELETE FROM {table} WHERE listing_id = ANY(:ids)"),  # noqa: S608  # our own names
        {"ids": list(scored)},
    )
    known = tag_ids(connection, {tag for _, tags in scored.values() for tag, _ in tags})
    copy_numbers(
        connection,
        table,
        ("listing_id", "tag_id", "score", "rank", "model_id"),
        (
            (listing_id, known[tag], score, rank, model_id)
            for listing_id, (model_id, tags) in scored.items()
            for rank, (tag, score) in enumerate(tags, start=1)
        ),
    )
