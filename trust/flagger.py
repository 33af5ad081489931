"""Follows the feed, and gives each listing the flags that hold for it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import structlog
from sqlalchemy import Connection, Row, text

from shared.db import listing_flags, listings
from shared.db.decisions import Decisions
from shared.db.follow import Entry, Refusal
from shared.db.fused_scores import FusedScores, fused_scores
from shared.domain.flags import Flag, of_nothing_known, of_policy, of_spam
from shared.domain.policy import Policy
from trust import fingerprints, reuse

log = structlog.get_logger()

NAME: Final = "flags"
#: So many listings are in memory at once.
_AT_ONCE: Final = 500


class Flagger:
    """An index of the feed whose rows are flags. It never blocks: nothing waits for it."""

    def __init__(self, restricted: Collection[str], *, shadow: bool) -> None:
        """Flags nothing yet.

        Args:
            restricted: tags that the marketplace's policy names.
            shadow: whether flags are only noted; else documents mention them.
        """
        self._policy = Policy(restricted)
        self._shadow = shadow
        self._decisions = Decisions()
        self._without_judge: set[str] = set()

    @property
    def name(self) -> str:
        """What its cursor is kept under."""
        return NAME

    def prepare(self, connection: Connection) -> None:
        """Says what is restricted; its tables came with a migration."""
        del connection
        names = self._policy.names
        log.info("flags.policy", restricted=len(names))
        if len(names) == 1 and "," in names[0]:
            log.warning("flags.policy_has_commas", one_tag=names[0], apart_by=";")

    def apply(self, connection: Connection, entries: Sequence[Entry]) -> list[Refusal]:
        """Judges the listings as they are: what comes twice or late is only judged again."""
        named = _named(connection, entries)
        changes = fingerprints.update(connection, named)
        ids = sorted({*named} | reuse.touched(connection, changes, named))
        # Before the decisions' lock, whose place is after this one.
        if not self._shadow or listing_flags.published(connection, ids):
            listings.lock(connection, ids)
        changed: list[int] = []
        flagged = 0
        for start in range(0, len(ids), _AT_ONCE):
            flags = self._flags(connection, ids[start : start + _AT_ONCE])
            changed += listing_flags.replace(connection, flags, shadow=self._shadow)
            flagged += sum(map(bool, flags.values()))
        log.info("flags.judged", listings=len(ids), flagged=flagged)
        if changed:
            listings.publish_changed(connection, changed, self._decisions)
        return []

    def _flags(self, connection: Connection, ids: Sequence[int]) -> dict[int, list[Flag]]:
        said = {
            row.id: _Said(row.title, row.seller_tags)
            for row in connection.execute(
                text("""
                    SELECT id, title, seller_tags FROM listing
                    WHERE id = ANY(:ids) AND deleted_at IS NULL
                """),
                {"ids": list(ids)},
            )
        }
        photos: defaultdict[int, list[Row[Any]]] = defaultdict(list)
        for photo in _photos(connection, [*said]):
            photos[photo.listing_id].append(photo)
        reused = reuse.flags(connection, [*said])
        seen = {
            id_: flags
            for fused in fused_scores(connection, photos, self._decisions)
            for id_, flags in self._seen(fused, said).items()
        }
        flags: dict[int, list[Flag]] = {id_: [] for id_ in ids}
        for id_, its in said.items():
            unseen = of_policy(self._policy, [], its.tags, its.title)
            flags[id_] = reused.get(id_, []) + seen.get(id_, unseen)
        return flags

    def _seen(self, fused: FusedScores, said: Mapping[int, "_Said"]) -> dict[int, list[Flag]]:
        """What the photos of listings and their sellers' words say together."""
        decision, scores = fused.active.decision, fused.scores
        if decision.spam is None and fused.active.model_version not in self._without_judge:
            self._without_judge.add(fused.active.model_version)
            log.warning("flags.no_judge_of_spam", model=fused.active.model_version)
        words = [said[id_] for id_ in fused.listing_ids]
        nearest = (scores / decision.thresholds).max(axis=1)
        found: dict[int, list[Flag]] = {}
        for id_, tags, its, doubts, near in zip(
            fused.listing_ids,
            decision.tags(scores),
            words,
            decision.doubts(scores, [its.tags for its in words]),
            nearest,
            strict=True,
        ):
            found[id_] = of_spam(doubts) + of_policy(self._policy, tags, its.tags, its.title)
            if not tags:
                found[id_].append(of_nothing_known(float(np.clip(near, 0, 1))))
        return found


@dataclass(frozen=True, slots=True)
class _Said:
    """What a seller says."""

    title: str
    tags: list[str]


def _named(connection: Connection, entries: Sequence[Entry]) -> dict[int, str]:
    """The listings of entries: row id -> the marketplace's id."""
    rows = connection.execute(
        text("SELECT id, external_id FROM listing WHERE external_id = ANY(:named)"),
        {"named": [entry.listing_id for entry in entries]},
    )
    return {row.id: row.external_id for row in rows}


def _photos(connection: Connection, ids: Collection[int]) -> Sequence[Row[Any]]:
    return connection.execute(
        text("""
            SELECT listing_id, status, scores, model_id, finished_at FROM photo
            WHERE listing_id = ANY(:ids) AND status = 'tagged' ORDER BY listing_id, position, id
        """),
        {"ids": sorted(ids)},
    ).all()
