"""How far a shadow and the model that served agree on the photos that both scored."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from shared.domain.decision import Decision

_PAGE = 5000


def agreement(
    connection: Connection,
    served: tuple[int, Decision],
    shadow: tuple[int, Decision],
) -> dict[str, Any]:
    """Compares the tags by both models' decisions in force, over the tags that both know.

    Args:
        connection: reads only, in pages.
        served: row id and decision of the model whose scores made the photos' tags.
        shadow: row id and decision of the model that only looked on.

    Returns:
        `photos`; `same_tags`, the share of them with the same set of tags (None without any);
        `flips`: tag -> photos where only the served, or only the shadow model gives it.
    """
    known = set(shadow[1].vocabulary)
    tags = [tag for tag in served[1].vocabulary if tag in known]
    photos = same = 0
    only_served = np.zeros(len(tags), np.int64)
    only_shadow = np.zeros(len(tags), np.int64)
    after = 0
    while True:
        rows = connection.execute(
            text("""
                SELECT photo.id, photo.scores AS served, shadow_score.scores AS shadow
                FROM shadow_score JOIN photo ON photo.id = photo_id
                WHERE shadow_score.model_id = :shadow AND photo.model_id = :served
                    AND photo.status = 'tagged' AND photo_id > :after
                ORDER BY photo_id LIMIT :limit
            """),
            {"shadow": shadow[0], "served": served[0], "after": after, "limit": _PAGE},
        ).all()
        if not rows:
            break
        after = rows[-1].id
        one = _tags([row.served for row in rows], served[1], tags)
        other = _tags([row.shadow for row in rows], shadow[1], tags)
        photos += len(rows)
        same += int((one == other).all(axis=1).sum())
        only_served += (one & ~other).sum(axis=0)
        only_shadow += (other & ~one).sum(axis=0)
    return {
        "photos": photos,
        "same_tags": round(same / photos, 4) if photos else None,
        "flips": {
            tag: {"only_served": int(lost), "only_shadow": int(won)}
            for tag, lost, won in zip(tags, only_served, only_shadow, strict=True)
            if lost or won
        },
    }


def _tags(
    scores: Sequence[Sequence[float]], decision: Decision, tags: Sequence[str]
) -> NDArray[np.bool_]:
    columns = [decision.vocabulary.index(tag) for tag in tags]
    table = np.asarray(scores, np.float32)[:, columns]
    return table >= decision.thresholds[columns]
