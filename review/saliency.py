"""Where the model looked that tagged a photo: its artifact, run over parts of the photo hidden."""

import hashlib
import threading
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, Row, text

from review.lru import Lru
from review.occlusion import Occlusion, occlude
from review.photos import PhotoProxy
from shared.db import models
from shared.errors import ArtifactError, Unseen
from shared.settings import Settings
from worker.decode.pixels import to_pixels
from worker.model.artifact import Artifact
from worker.model.store import ModelStore
from worker.model.tagger import Tagger

#: Models in memory, each some megabytes; and maps, of 64 numbers.
_MODELS: Final = 2
_MAPS: Final = 500


@dataclass(frozen=True, slots=True)
class Saliency:
    """What was found out about a photo and a tag."""

    occlusion: Occlusion
    model_version: str
    changed: bool  #: the photo is not the one that was tagged


class SaliencyMaps:
    """Answers one question after the other: each takes a model some hundred milliseconds."""

    def __init__(self, engine: Engine, settings: Settings, photos: PhotoProxy) -> None:
        """Loads nothing yet."""
        self._engine = engine
        self._settings = settings
        self._photos = photos
        self._store = ModelStore(settings)
        self._lock = threading.Lock()
        self._models: Lru[int, tuple[Artifact, Tagger]] = Lru(_MODELS)
        self._maps: Lru[tuple[int, bytes, int, str], Saliency] = Lru(_MAPS)

    def look(self, photo_id: int, tag: str) -> Saliency:
        """What hiding parts of a photo does to the score of a tag.

        Raises:
            PhotoError: the photo cannot be had, its model cannot, or knows no such tag.
        """
        with self._engine.connect() as connection:
            row = connection.execute(
                text("SELECT id, url, content_sha256, model_id FROM photo WHERE id = :id"),
                {"id": photo_id},
            ).one_or_none()
            model = (
                models.by_id(connection, row.model_id)
                if row is not None and row.model_id is not None
                else None
            )
        if row is None or model is None:
            raise Unseen("no model has looked at it")
        tagged_sha256 = bytes(row.content_sha256 or b"")
        key = (photo_id, tagged_sha256, model.id, tag)
        known = self._maps.get(key)
        if known is not None:
            return known
        body = self._photos.body(row.url)
        with self._lock:
            artifact, tagger = self._model(model)
            found = self._occlusion(body, artifact, tagger, tag)
        changed = hashlib.sha256(body).digest() != tagged_sha256
        saliency = Saliency(found, artifact.version, changed)
        self._maps.put(key, saliency)
        return saliency

    def _occlusion(self, body: bytes, artifact: Artifact, tagger: Tagger, tag: str) -> Occlusion:
        if tag not in artifact.vocabulary:
            raise Unseen(f"{artifact.version} knows no such tag")
        size = artifact.manifest.input
        pixels = to_pixels(
            body,
            width=size.width,
            height=size.height,
            max_photo_pixels=self._settings.max_photo_pixels,
            min_photo_elements=self._settings.min_photo_elements,
            preprocessing=artifact.manifest.preprocessing,
        )
        return occlude(pixels, tagger.scores, artifact.vocabulary.index(tag))

    def _model(self, row: Row[Any]) -> tuple[Artifact, Tagger]:
        known = self._models.get(row.id)
        if known is not None:
            return known
        try:
            artifact = self._store.open_registered(row)
            loaded = artifact, Tagger(artifact)
        except ArtifactError as error:
            raise Unseen(f"its model is not to be had: {error.detail}") from None
        self._models.put(row.id, loaded)
        return loaded
