"""A shadow model's scores of some live photos: stored beside the champion's, never used."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from worker.served import Shadow

log = structlog.get_logger()


def in_share(photo_id: int, share: float) -> bool:
    """Whether a photo is among those that shadows score: the same ones for every model."""
    digest = hashlib.blake2b(str(photo_id).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64 < share


def score(engine: Engine, shadow: Shadow, pixels: Mapping[int, NDArray[np.uint8]]) -> None:
    """Scores photos and stores the scores; what goes wrong is logged and nothing more.

    Args:
        engine: takes a transaction of its own, after the batch's.
        shadow: the model.
        pixels: uint8 [height, width, 3] by photo id, as the model takes them.
    """
    try:
        rows = shadow.model.tagger.scores(np.stack([*pixels.values()]))
        found = [
            {"photo": photo, "scores": row.tolist()}
            for photo, row in zip(pixels, rows, strict=True)
            if np.isfinite(row).all()
        ]
        _store(engine, shadow.model.model_id, found)
    except Exception:
        log.exception("shadow.failed", version=shadow.model.version, photos=len(pixels))
        return
    if len(found) < len(pixels):
        log.warning(
            "shadow.no_scores", version=shadow.model.version, photos=len(pixels) - len(found)
        )


def _store(engine: Engine, model_id: int, found: list[dict[str, Any]]) -> None:
    with engine.begin() as connection:
        connection.execute(
            # A photo that is being deleted is passed over: waiting for it could end in a ring.
            text("""
                INSERT INTO shadow_score (photo_id, model_id, scores)
                SELECT held.id, :model_id, new.scores
                FROM jsonb_to_recordset(CAST(:found AS jsonb)) AS new(photo bigint, scores real[])
                JOIN (
                    SELECT id FROM photo WHERE id = ANY(:ids) ORDER BY id
                    FOR KEY SHARE SKIP LOCKED
                ) AS held ON held.id = new.photo
                ON CONFLICT (photo_id, model_id) DO UPDATE
                    SET scores = excluded.scores, made_at = now()
            """),
            {
                "model_id": model_id,
                "found": json.dumps(found),
                "ids": [row["photo"] for row in found],
            },
        )
