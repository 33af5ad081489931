"""Follows the feed, and gives each listing the flags that hold for it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
import structlog
from sqlalchemy import Connection, Row, text

from shared.db import listing_flags, listings
from shared.db.decisions import Decisions
from shared.db.follow import Entry, Refusal
from shared.db.fused_scores import FusedScores, fused_scores
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
        sellers: dict[int, list[str]] = {
            row.id: row.seller_tags
            for row in connection.execute(
                text("""
                    SELECT id, seller_tags FROM listing
                    WHERE id = ANY(:ids) AND deleted_at IS NULL
                """),
                {"ids": list(ids)},
            )
        }
        photos: defaultdict[int, list[Row[Any]]] = defaultdict(list)
        for photo in _photos(connection, [*sellers]):
            photos[photo.listing_id].append(photo)
        reused = reuse.flags(connection, [*sellers])
        seen = {
            id_: flags
            for fused in fused_scores(connection, photos, self._decisions)
            for id_, flags in self._seen(fused, sellers).items()
        }
        flags: dict[int, list[Flag]] = {id_: [] for id_ in ids}
        for id_, said in sellers.items():
            unseen = of_policy(self._restricted, [], said)
            flags[id_] = reused.get(id_, []) + seen.get(id_, unseen)
        return flags

    def _seen(self, fused: FusedScores, sellers: Mapping[int, list[str]]) -> dict[int, list[Flag]]:
        """What the photos of listings and their sellers' words say together."""
        decision, scores = fused.active.decision, fused.scores
        said = [sellers[id_] for id_ in fused.listing_ids]
        nearest = (scores / decision.thresholds).max(axis=1)
        found: dict[int, list[Flag]] = {}
        for id_, tags, words, doubts, near in zip(
            fused.listing_ids,
            decision.tags(scores),
            said,
            decision.doubts(scores, said),
            nearest,
            strict=True,
        ):
            found[id_] = of_spam(doubts) + of_policy(self._restricted, tags, words)
            if not tags:
                found[id_].append(of_nothing_known(float(np.clip(near, 0, 1))))
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
            SELECT id, listing_id, status, scores, model_id, phash, finished_at FROM photo
            WHERE listing_id = ANY(:ids) AND status = 'tagged' ORDER BY listing_id, position, id
        """),
        {"ids": sorted(ids)},
    ).all()
