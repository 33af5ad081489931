"""A marketplace in Postgres: listings recorded, tagged and indexed as in service, and searched."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import Engine

from bench.search_quality.measures import Quality, quality
from bench.search_quality.products import Scores
from bench.search_quality.wanted import Wanted
from producer.intake import Intake
from producer.lines import Line
from search import query as queries
from search.postgres import WEIGHTS, PostgresIndex
from search.query import RANKING, Query, Ranking
from shared.db import listings, photos
from shared.db.decisions import Decisions
from shared.db.follow import Follower
from shared.db.photos import Claim, Settled
from shared.domain.photo import Lane, Status
from shared.errors import SetupError
from shared.settings import Settings
from worker.model.artifact import Artifact
from worker.model.registry import register

_BATCH: Final = 500
_HOST: Final = "http://photos.invalid/"  # nobody fetches from it


@dataclass(frozen=True, slots=True)
class System:
    """A way to search: what `tagger search` is told."""

    name: str
    sources: tuple[str, ...]
    related: bool = False  #: with `--related`
    filtered: bool = False  #: with `--tag` and the tag that a buyer would tick


_SELLER: Final = ("title", "seller_tags")
SELLER: Final = System("seller's words", _SELLER)
PHOTOS: Final = System("photos' tags", ("tags",))
BOTH: Final = System("both", ("tags", *_SELLER))
#: What `tagger search` does by itself.
DEFAULT: Final = System("and related", tuple(WEIGHTS))
EXPANDED: Final = System("--related", tuple(WEIGHTS), related=True)
FILTERED: Final = System("--tag", tuple(WEIGHTS), filtered=True)
SYSTEMS: Final = (SELLER, PHOTOS, BOTH, DEFAULT, EXPANDED, FILTERED)


class Market:
    """A listing a product in a database of its own, all of them in the index."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        artifact: Artifact,
        scores: Mapping[str, Mapping[str, Scores]],
    ) -> None:
        """Publishes listings without a word, and tags their photos.

        Args:
            engine: of a migrated and empty database.
            settings: the search language is in them.
            artifact: the model that serves.
            scores: product -> photo -> float32 `[tags]`, what workers find.
        """
        self._engine = engine
        self._language = settings.search_language
        self._intake = Intake(engine, settings)
        self._index = Follower(engine, PostgresIndex(settings.search_language))
        self._photos = {product: [*its] for product, its in scores.items()}
        self._expansions: dict[str, list[str]] = {}
        self._published = 0
        with engine.begin() as connection:
            model_id = register(connection, artifact, champion=True)
        self.say({product: [] for product in scores})
        by_photo = {photo: its for of in scores.values() for photo, its in of.items()}
        self._tag(model_id, by_photo, settings)

    def say(self, words: Mapping[str, Sequence[str]]) -> None:
        """Lets the sellers of these products change their words; the index follows.

        Raises:
            SetupError: the marketplace does not take them.
        """
        # Hours ago, for the newest event wins and none may lie ahead.
        now = datetime.now(UTC) - timedelta(hours=6) + timedelta(seconds=self._published)
        self._published += 1
        events = [self._event(product, its, now) for product, its in words.items()]
        for start in range(0, len(events), _BATCH):
            batch = events[start : start + _BATCH]
            lines = [Line(raw, "sellers", len(raw)) for raw in batch]
            counts = self._intake.record(lines)
            if counts.recorded < len(batch):
                raise SetupError(f"{counts.recorded} of {len(batch)} events: {counts.reasons}")
        self._index.catch_up()

    def ask(self, wanted: Wanted, system: System, ranking: Ranking = RANKING) -> Quality | None:
        """How good the answer is; None where the system filters and there is nothing to tick."""
        if system.filtered and wanted.ticked is None:
            return None
        query = Query(
            wanted.words,
            tags=[wanted.ticked] if system.filtered and wanted.ticked else [],
            sources=system.sources,
            expand=self._expansion(wanted.words) if system.related else [],
        )
        with self._engine.connect() as connection:
            found = queries.search(
                connection, query, self._language, limit=len(self._photos), ranking=ranking
            )
        return quality(
            np.array([hit.rank for hit in found.hits], np.float64),
            np.array([hit.listing_id in wanted.relevant for hit in found.hits], np.bool_),
            len(wanted.relevant),
        )

    def _expansion(self, words: str) -> list[str]:
        if words not in self._expansions:
            with self._engine.connect() as connection:
                self._expansions[words] = queries.related(connection, words, self._language)
        return self._expansions[words]

    def _event(self, product: str, words: Sequence[str], occurred_at: datetime) -> bytes:
        fields: dict[str, Any] = {
            "event_id": f"e-{self._published}",
            "type": "listing.updated",
            "occurred_at": occurred_at.isoformat(),
            "listing_id": product,
            "title": "",
            "seller_tags": [*words],
            "photos": [_HOST + photo for photo in self._photos[product]],
        }
        return json.dumps(fields).encode()

    def _tag(self, model_id: int, scores: Mapping[str, Scores], settings: Settings) -> None:
        decisions = Decisions()
        while claims := self._claim(settings):
            settled = [_tagged(claim, model_id, scores) for claim in claims]
            with self._engine.begin() as connection:
                owners = {claim.listing_id for claim in claims}
                listings.lock(connection, owners)
                photos.settle(connection, settled)
                listings.publish(connection, owners, decisions)
        self._index.catch_up()

    def _claim(self, settings: Settings) -> list[Claim]:
        with self._engine.begin() as connection:
            ids = photos.mark_queued(
                connection, Lane.TAGGING, limit=_BATCH, lease_s=settings.queued_lease_s
            )
        with self._engine.begin() as connection:
            return photos.claim(connection, ids, lease_s=settings.working_lease_s)


def _tagged(claim: Claim, model_id: int, scores: Mapping[str, Scores]) -> Settled:
    return Settled(
        id=claim.id,
        token=claim.token,
        status=Status.TAGGED,
        lane=claim.lane,
        attempt=claim.attempt,
        scores=scores[claim.url.removeprefix(_HOST)],
        model_id=model_id,
    )
