"""The model that serves now, and the one that shadows it: looked after while photos flow.

A batch takes one reference at its start and ends with it, whatever happens meanwhile. Another
model is loaded in a thread of its own; only then do the references change, and the old model's
memory goes when the last batch that holds it ends.
"""

import threading
import time
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row

from shared.db import models
from shared.db.session import DATABASE_ERRORS, in_words
from shared.errors import ArtifactError
from worker.model.artifact import Artifact
from worker.model.store import ModelStore
from worker.model.tagger import Tagger

log = structlog.get_logger()


@dataclass(frozen=True)
class ServedModel:
    """A loaded model, and its rows."""

    tagger: Tagger
    version: str
    model_id: int
    tag_ids: dict[str, int]
    input_height: int
    input_width: int
    preprocessing: str  #: how its pixels are made, see `worker.decode.pixels`


@dataclass(frozen=True)
class Shadow:
    """A model that scores some photos beside the one that serves."""

    model: ServedModel
    share: float  #: of photos, 0..1


@dataclass(frozen=True)
class Serving:
    """What a batch works with, from its start to its end."""

    model: ServedModel
    shadow: Shadow | None = None


def serve(connection: Connection, model_id: int, artifact: Artifact) -> ServedModel:
    """Loads an artifact for service under its row.

    Raises:
        ArtifactError: LiteRT refuses it.
    """
    size = artifact.manifest.input
    return ServedModel(
        tagger=Tagger(artifact),
        version=artifact.version,
        model_id=model_id,
        tag_ids=models.tag_ids(connection, artifact.vocabulary),
        input_height=size.height,
        input_width=size.width,
        preprocessing=artifact.manifest.preprocessing,
    )


@dataclass(frozen=True)
class _Refusal:
    """Why a model does not serve, and when it is tried again (monotonic)."""

    reason: str
    again_at: float


class Lineup:
    """Which models serve in this process, kept in step with the database."""

    def __init__(
        self,
        engine: Engine,
        store: ModelStore,
        first: ServedModel,
        *,
        pinned: bool = False,
        refused_pause_s: float = 30,
    ) -> None:
        """Serves `first` until `look` finds another; with `pinned`, for ever.

        Args:
            engine: where the champion and the shadow are named.
            store: where their artifacts are.
            first: what serves from the start.
            pinned: whether it serves whoever is champion.
            refused_pause_s: when a model that was refused is tried again.
        """
        self.now = Serving(first)  #: take it once a batch
        self._engine = engine
        self._store = store
        self._pinned = pinned
        self._refused_pause_s = refused_pause_s
        self._refused: dict[tuple[int, str | None, str | None], _Refusal] = {}
        self._away = False

    def watch(self, every_s: float) -> None:
        """Looks every so many seconds, from a thread that ends with the process."""

        def run() -> None:
            while True:
                time.sleep(every_s)
                try:
                    self.look()
                except Exception:  # whatever it is, the models that are loaded go on
                    log.exception("model.unexpected")

        threading.Thread(target=run, daemon=True, name="lineup").start()

    def look(self) -> None:
        """Brings the models in line with the database; without it, they stay as they are."""
        try:
            with self._engine.connect() as connection:
                champion, shadow = models.in_service(connection)
                connection.rollback()  # loading takes time, and a transaction must not
                self._look(connection, champion, shadow)
        except DATABASE_ERRORS as error:
            if not self._away:
                log.warning("model.database_away", reason=in_words(error))
            self._away = True
        else:
            self._away = False

    def _look(
        self, connection: Connection, champion: Row[Any] | None, shadow: Row[Any] | None
    ) -> None:
        model = self.now.model
        if champion is not None and champion.id != model.model_id and not self._pinned:
            model = self._load(connection, champion) or model
        cast = self._cast(connection, shadow, model)
        if model is self.now.model and cast == self.now.shadow:
            return
        before = self.now.model.version
        self.now = Serving(model, cast)
        log.info(
            "model.serving",
            version=model.version,
            before=before if before != model.version else None,
            shadow=cast.model.version if cast else None,
            share=cast.share if cast else None,
        )

    def _cast(
        self, connection: Connection, row: Row[Any] | None, model: ServedModel
    ) -> Shadow | None:
        if row is None or row.id == model.model_id:
            return None
        known = self.now.shadow
        if known is not None and known.model.model_id == row.id:
            return Shadow(known.model, row.shadow_share)
        loaded = self._load(connection, row)
        return Shadow(loaded, row.shadow_share) if loaded else None

    def _load(self, connection: Connection, row: Row[Any]) -> ServedModel | None:
        """The model of a row; None, and an error in the log, where it is refused."""
        key = (row.id, row.location, row.manifest_sha256)
        before = self._refused.get(key)
        if before is not None and time.monotonic() < before.again_at:
            return None
        try:
            loaded = serve(connection, row.id, self._store.open_registered(row))
        except ArtifactError as error:
            refusal = _Refusal(str(error), time.monotonic() + self._refused_pause_s)
            self._refused[key] = refusal
            if before is None or before.reason != refusal.reason:
                log.error(  # noqa: TRY400  # its words say it all
                    "model.refused",
                    version=row.version,
                    reason=refusal.reason,
                    still_serving=self.now.model.version,
                )
            return None
        finally:
            connection.rollback()
        self._refused.pop(key, None)
        return loaded
