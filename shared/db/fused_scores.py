"""What the photos of listings show together, to the model that saw one of them last."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row

from shared.db.decisions import ActiveDecision, Decisions
from shared.domain.photo import Status


@dataclass(frozen=True, slots=True)
class FusedScores:
    """The listings of one model, and their scores.

    Attributes:
        model_id: the model in service when the newest of their photos was tagged.
        active: its decision.
        listing_ids: row ids.
        scores: float32 `[listings, tags]`, over all tagged photos of each listing; those that
            another model tagged count for the tags that both know.
    """

    model_id: int
    active: ActiveDecision
    listing_ids: list[int]
    scores: NDArray[np.float32]


def fused_scores(
    connection: Connection, photos: Mapping[int, Sequence[Row[Any]]], decisions: Decisions
) -> list[FusedScores]:
    """Fuses what photos scored; a listing without a tagged photo is in none of the results.

    Take the locks of listings and photos before it: `Decisions.active` says why.

    Args:
        connection: a transaction.
        photos: listing row id -> rows of its photos with `status`, `scores`, `model_id` and
            `finished_at`.
        decisions: those in force.
    """
    tagged = {
        id_: rows
        for id_, its in photos.items()
        if (rows := [photo for photo in its if photo.status == Status.TAGGED])
    }
    models = {photo.model_id for its in tagged.values() for photo in its}
    active = decisions.active(connection, models)
    by_model: defaultdict[int, list[int]] = defaultdict(list)
    for id_, its in tagged.items():
        # The model in service: after a step back to an older one, that is the older one.
        newest = max(its, key=lambda photo: (photo.finished_at, photo.model_id))
        by_model[newest.model_id].append(id_)
    return [
        FusedScores(
            model_id,
            active[model_id],
            ids,
            active[model_id].decision.fused(
                [
                    [(active[p.model_id].decision.vocabulary, p.scores) for p in tagged[id_]]
                    for id_ in ids
                ]
            ),
        )
        for model_id, ids in by_model.items()
    ]
