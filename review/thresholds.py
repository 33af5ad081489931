"""From which score on a model gives a tag, as it is in force."""

from sqlalchemy import Connection

from shared.db import models
from shared.db.decisions import Decisions


def thresholds(
    connection: Connection, decisions: Decisions, model_id: int | None = None
) -> dict[str, float]:
    """The threshold of each tag of a model's vocabulary, in its order.

    Args:
        connection: any.
        decisions: those that this process has read.
        model_id: the champion by default.

    Returns:
        Nothing where no model serves yet.
    """
    champion, _ = models.in_service(connection)
    id_: int | None = model_id or (champion.id if champion else None)
    if id_ is None:
        return {}
    decision = decisions.active(connection, [id_])[id_].decision
    return dict(zip(decision.vocabulary, decision.thresholds.tolist(), strict=True))
