"""Follows the feed, and gives each listing the flags that hold for it."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import structlog
from sqlalchemy import Connection, Row, text

from shared.db import listing_flags, listings
from shared.db.decisions import Decisions
from shared.db.follow import Entry, Refusal
from shared.domain.decision import Decision
from shared.domain.flags import Flag, of_nothing_known, of_policy, of_spam
from trust import reuse

log = structlog.get_logger()

NAME: Final = "flags"


class Flagger:
    """An index of the feed whose rows are flags. It never blocks: nothing waits for it."""

    def __init__(self, restricted: Collection[str], *, shadow: bool) -> None:
        """Flags nothing yet.

        Args:
            restricted: tags that the marketplace's policy names, as `canonical` writes them.
            shadow: whether flags are only noted; else documents mention them.
        """
        self._restricted = frozenset(restricted)
        self._shadow = shadow
        self._decisions = Decisions()

    @property
    def name(self) -> str:
        """What its cursor is kept under."""
        return NAME

    def prepare(self, connection: Connection) -> None:
        """Its tables came with a migration."""

    def apply(self, connection: Connection, entries: Sequence[Entry]) -> list[Refusal]:
        """Judges the listings as they are: what comes twice or late is only judged again."""
        named = [entry.listing_id for entry in entries]
        ids = _ids(connection, named) | {*listing_flags.pointing_at(connection, named)}
        reuse.remember(connection, _photos(connection, ids))
        ids |= {*reuse.with_later_copies(connection, sorted(ids))}
        # Before the decisions' lock, whose place is after this one.
        if not self._shadow or listing_flags.published(connection, sorted(ids)):
            listings.lock(connection, ids)
        flags = self._flags(connection, sorted(ids))
        changed = listing_flags.replace(connection, flags, shadow=self._shadow)
        log.info("flags.judged", listings=len(ids), flagged=sum(map(bool, flags.values())))
        if changed:
            listings.publish_changed(connection, changed, self._decisions)
        return []

    def _flags(self, connection: Connection, ids: Sequence[int]) -> dict[int, list[Flag]]:
        photos: defaultdict[int, list[Row[Any]]] = defaultdict(list)
        for photo in _photos(connection, ids):
            photos[photo.listing_id].append(photo)
        rows = connection.execute(
            text("SELECT id, seller_tags, deleted_at FROM listing WHERE id = ANY(:ids)"),
            {"ids": list(ids)},
        ).all()
        reused = reuse.flags(connection, ids)
        flags: dict[int, list[Flag]] = {id_: [] for id_ in ids}
        by_model: defaultdict[int, list[tuple[Row[Any], list[Row[Any]]]]] = defaultdict(list)
        for listing in rows:
            its = photos[listing.id]
            if listing.deleted_at is not None:
                continue
            flags[listing.id] += reused.get(listing.id, [])
            if not its:
                flags[listing.id] += of_policy(self._restricted, [], listing.seller_tags)
                continue
            newest = max(its, key=lambda photo: (photo.finished_at, photo.model_id)).model_id
            # Scores of another model say less, or other things, about what this one looks for.
            own = [photo for photo in its if photo.model_id == newest]
            by_model[newest].append((listing, own))
        active = self._decisions.active(connection, by_model)
        for model_id, group in by_model.items():
            decision = active[model_id].decision
            for (listing, _), found in zip(group, self._seen(decision, group), strict=True):
                flags[listing.id] += found
        return flags

    def _seen(
        self, decision: Decision, group: Sequence[tuple[Row[Any], Sequence[Row[Any]]]]
    ) -> list[list[Flag]]:
        """What the scores say of listings that a model has seen."""
        scores = decision.fused(
            [[(decision.vocabulary, photo.scores) for photo in its] for _, its in group]
        )
        sellers = [listing.seller_tags for listing, _ in group]
        nearest = (scores / decision.thresholds).max(axis=1)
        found: list[list[Flag]] = []
        for tags, said, doubts, near in zip(
            decision.tags(scores), sellers, decision.doubts(scores, sellers), nearest, strict=True
        ):
            flags = of_spam(doubts) + of_policy(self._restricted, tags, said)
            if not tags:
                flags.append(of_nothing_known(float(np.clip(near, 0, 1))))
            found.append(flags)
        return found


def _ids(connection: Connection, named: Sequence[str]) -> set[int]:
    return {
        *connection.execute(
            text("SELECT id FROM listing WHERE external_id = ANY(:named)"), {"named": list(named)}
        ).scalars()
    }


def _photos(connection: Connection, ids: Collection[int]) -> Sequence[Row[Any]]:
    return connection.execute(
        text("""
            SELECT id, listing_id, scores, model_id, phash, finished_at FROM photo
            WHERE listing_id = ANY(:ids) AND status = 'tagged' ORDER BY listing_id, position, id
        """),
        {"ids": sorted(ids)},
    ).all()
