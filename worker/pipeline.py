"""The whole flow of one batch: claim, fetch, decode, infer, decide, store."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import Engine

from shared.db import listings, photos
from shared.db.decisions import Decisions
from shared.db.photos import Claim, Settled
from shared.db.retry import retrying, transient
from shared.db.session import DATABASE_ERRORS, in_words
from shared.domain.photo import Lane, Status
from shared.errors import ModelError, PhotoError, Unexpected
from shared.settings import Settings
from shared.watchdog import Watchdog
from worker import shadow
from worker.decode.phash import phashes
from worker.decode.pixels import RGB_AREA
from worker.fetch.download import Downloader
from worker.fetch.notices import NoticeBoard
from worker.look import Look, Seen
from worker.quarantine import Quarantine
from worker.served import Lineup, ServedModel, Serving
from worker.setback import Setback
from worker.stopping import Stopping

log = structlog.get_logger()


class Pipeline:
    """Tags batches of photos; one per process, used by several threads."""

    def __init__(
        self,
        engine: Engine,
        lineup: Lineup,
        settings: Settings,
        board: NoticeBoard,
        *,
        holder: int,
        stopping: Stopping,
    ) -> None:
        """Does nothing yet.

        Args:
            engine: where the rows are.
            lineup: the models that serve.
            settings: all limits.
            board: where the fleet shares what it sees of hosts.
            holder: what the photos in its hands are marked with.
            stopping: whether this process is to end.
        """
        self._engine = engine
        self._lineup = lineup
        self._settings = settings
        self._decisions = Decisions()
        self._setback = Setback(settings)
        self._holder = holder
        self._stopping = stopping
        self._downloader = Downloader(
            settings, leave_at=stopping.leave_at, resting=True, board=board
        )
        # Two, so that one decodes while the other is between two photos.
        self._decoders = threading.Semaphore(2)
        # Threads that compute at the same time on one core only take it from one another.
        self._turn = threading.Lock()
        self._quarantine = Quarantine()
        # A batch that is still at it when its lease has long ended is stuck for good.
        self._watchdog = Watchdog(settings.working_lease_s * 1.5)

    def tag(self, ids: Sequence[int]) -> None:
        """Tags the photos of a message, those of them that are still to be done."""
        try:
            suspect = len(ids) == 1 and self._is_suspect(ids)
            room = self._quarantine.alone() if suspect else self._quarantine.together()
            with room, self._watchdog.watching():
                self._tag(ids, suspect=suspect)
        except DATABASE_ERRORS as error:
            if not transient(error):
                raise
            # What was claimed comes back by its lease, the rest is rung for again.
            log.warning("batch.database_away", photos=len(ids), reason=in_words(error))

    def _is_suspect(self, ids: Sequence[int]) -> bool:
        with self._engine.connect() as connection:
            return photos.is_suspect(connection, ids)

    def _claim(self, ids: Sequence[int], *, suspect: bool) -> list[Claim]:
        with self._engine.begin() as connection:
            return photos.claim(
                connection,
                ids,
                alone=suspect,
                lease_s=self._settings.working_lease_s,
                holder=self._holder,
            )

    def _tag(self, ids: Sequence[int], *, suspect: bool) -> None:
        patience_s = self._settings.queued_lease_s / 2
        with self._downloader.room(len(ids), timeout_s=patience_s) as there_is_room:
            if self._stopping:
                with self._engine.begin() as connection:
                    photos.unqueue(connection, ids)
                return
            if not there_is_room:
                # They are rung for again: claimed now, they might lie here until their lease ends.
                log.warning("batch.no_room", photos=len(ids))
                return
            started = time.monotonic()
            claims = retrying(lambda: self._claim(ids, suspect=suspect), for_s=patience_s)
        if not claims:
            return
        # One look: a model that is promoted meanwhile gets the batches after this one.
        serving = self._lineup.now
        seen: dict[int, Seen | PhotoError] = {}
        try:
            until = started + self._settings.working_lease_s / 2
            seen = self._see(claims, serving, suspect=suspect, until=until)
            scores, hashes = self._score(seen, serving.model)
            settled = [
                self._settle(
                    claim, scores[claim.id], seen[claim.id], serving.model, hashes.get(claim.id)
                )
                for claim in claims
            ]
        except Exception as error:  # a batch that fails as a whole is tried photo by photo
            log.exception("batch.unexpected", photos=len(claims))
            settled = self._all_unexpected(claims, error)
        # What comes after the lease is fenced off; the last try gets some of its time.
        store_by = started + self._settings.working_lease_s * 0.9
        try:
            self._store(claims, settled, serving.model, by=store_by)
        except DATABASE_ERRORS as error:
            if transient(error):
                raise
            log.exception("batch.not_storable", photos=len(claims))
            settled = self._all_unexpected(claims, error)
            self._store(claims, settled, serving.model, by=store_by)
        log.info(
            "batch.done",
            lane=claims[0].lane,
            photos=len(claims),
            tagged=sum(photo.status == Status.TAGGED for photo in settled),
            errors=dict(Counter(photo.error_code for photo in settled if photo.error_code)),
            model=serving.model.version,
            seconds=round(time.monotonic() - started, 3),
        )
        if serving.shadow is not None:
            shadowed = {
                id_: photo.shadow_pixels
                for id_, photo in seen.items()
                if isinstance(photo, Seen) and photo.shadow_pixels is not None
            }
            if shadowed:
                shadow.score(self._engine, serving.shadow, shadowed)

    def _see(
        self, claims: Sequence[Claim], serving: Serving, *, suspect: bool, until: float
    ) -> dict[int, Seen | PhotoError]:
        """Fetches and decodes; a photo's own failure stands in its place.

        Photos that are not decoded by `until` (monotonic) are left for another batch.
        """
        # A suspect keeps all others waiting: it gets the slow lane's time only at its last try.
        last = claims[0].attempt >= self._settings.max_attempts
        patient = claims[0].lane is Lane.SLOW and (last or not suspect)
        deadline_s = (
            self._settings.slow_fetch_deadline_s if patient else self._settings.fetch_deadline_s
        )
        look = Look(
            self._settings,
            serving,
            [claim.id for claim in claims],
            decoders=self._decoders,
            until=until,
        )
        seen = self._downloader.fetch(
            [claim.url for claim in claims],
            deadline_s=deadline_s,
            # In the slow lane all have time; a batch of it is slow by design.
            stragglers_s=None if claims[0].lane is Lane.SLOW else self._settings.stragglers_s,
            until=until,
            take=look.take,
            quick=look.quick,
        )
        return {claim.id: photo for claim, photo in zip(claims, seen, strict=True)}

    def _score(
        self, seen: dict[int, Seen | PhotoError], model: ServedModel
    ) -> tuple[dict[int, NDArray[np.float32] | PhotoError], dict[int, int | None]]:
        """Scores [tags] and the hash of each decoded photo, in one call for all of them."""
        scores: dict[int, NDArray[np.float32] | PhotoError] = {
            id_: photo for id_, photo in seen.items() if isinstance(photo, PhotoError)
        }
        hashes: dict[int, int | None] = {}
        decoded = {id_: photo for id_, photo in seen.items() if isinstance(photo, Seen)}
        if decoded:
            pixels = np.stack([photo.pixels for photo in decoded.values()])
            with self._turn:
                rows = model.tagger.scores(pixels)
                if model.preprocessing == RGB_AREA:
                    hashes = dict(zip(decoded, phashes(pixels), strict=True))
            for id_, row in zip(decoded, rows, strict=True):
                usable = bool(np.isfinite(row).all())
                scores[id_] = row if usable else ModelError("the scores are not numbers")
        return scores, hashes

    def _settle(
        self,
        claim: Claim,
        scores: NDArray[np.float32] | PhotoError,
        seen: Seen | PhotoError,
        model: ServedModel,
        phash: int | None,
    ) -> Settled:
        if isinstance(scores, PhotoError):
            return self._setback.settle(claim, scores)
        assert isinstance(seen, Seen)  # noqa: S101  # only decoded photos have scores
        return Settled(
            id=claim.id,
            token=claim.token,
            status=Status.TAGGED,
            lane=claim.lane,
            attempt=claim.attempt,
            content_sha256=seen.content_sha256,
            content_bytes=seen.content_bytes,
            width=seen.width,
            height=seen.height,
            # Postgres has no unsigned bigint: the same 64 bits.
            phash=phash if phash is None or phash < 1 << 63 else phash - (1 << 64),
            scores=scores,
            model_id=model.model_id,
        )

    def _all_unexpected(self, claims: Sequence[Claim], error: Exception) -> list[Settled]:
        failure = Unexpected(type(error).__name__)
        return [self._setback.settle(claim, failure, alone=True) for claim in claims]

    def _store(
        self, claims: Sequence[Claim], settled: Sequence[Settled], model: ServedModel, *, by: float
    ) -> None:
        """One transaction; tried again until `by` (monotonic) if Postgres is away."""
        retrying(lambda: self._store_once(claims, settled, model), for_s=by - time.monotonic())

    def _store_once(
        self, claims: Sequence[Claim], settled: Sequence[Settled], model: ServedModel
    ) -> None:
        with ExitStack() as stack:
            connection = stack.enter_context(self._engine.begin())
            listings.lock(connection, {claim.listing_id for claim in claims})
            # Only now: who waits for Postgres must not keep the others from their turn.
            stack.enter_context(self._turn)
            # The decision of this moment, and not of the batch's start: a new one finds every
            # photo that an older one decided.
            active = self._decisions.active(connection, [model.model_id])[model.model_id]
            scored = {photo.id: photo.scores for photo in settled if photo.scores is not None}
            decided = active.decision.tags(np.stack([*scored.values()])) if scored else []
            tags = dict(zip(scored, decided, strict=True))
            written = photos.settle(connection, settled, decision_id=active.id)
            tagged = [row.id for row in written if row.status == Status.TAGGED]
            photos.replace_tags(
                connection,
                tagged,
                (
                    (id_, model.tag_ids[tag], score, rank)
                    for id_ in tagged
                    for rank, (tag, score) in enumerate(tags[id_], start=1)
                ),
                model_id=model.model_id,
            )
            if any(row.status == Status.PENDING for row in written):
                photos.wake_relay(connection)
            published = {row.listing_id for row in written if row.status != Status.PENDING}
            listings.publish(connection, published, self._decisions)
        if len(written) < len(claims):
            # Their lease ran out and someone else has them, or their listing is gone.
            log.warning("batch.fenced_off", photos=len(claims) - len(written))
