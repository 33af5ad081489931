"""The decisions of models, versioned apart from their weights, and the one in force of each.

Whoever turns scores into rows reads the decisions in force inside its transaction, by
`Decisions.active`, which holds a shared advisory lock until that transaction ends. Who puts
another decision in force takes the same lock alone. So whatever was decided by the old one is
committed, and can be found, before the new one is in force.

The order of locks is: listings, photos, this one, the feed's counter.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from shared.domain.decision import Decision
from shared.errors import DecisionError

#: Any number, the same in every process. An advisory lock and no row lock: those that wait for
#: it alone are not overtaken by an endless row of those that share it.
_LOCK = 7_206_315_050


@dataclass(frozen=True, slots=True)
class ActiveDecision:
    """The decision in force of one model."""

    model_version: str
    id: int | None  #: None where a worker of an older version registered the model
    decision: Decision


class Decisions:
    """The decisions in force, each read once and looked up again in every transaction."""

    def __init__(self, instead: Mapping[int, Decision] | None = None) -> None:
        """Reads nothing yet; `instead` are decisions by model to try out in place of theirs."""
        self._instead = dict(instead or {})
        self._known: dict[int, ActiveDecision] = {}

    def active(self, connection: Connection, model_ids: Iterable[int]) -> dict[int, ActiveDecision]:
        """The decision of each model; it stays in force until this transaction ends.

        Take the locks of listings and photos before it.
        """
        ids = sorted(set(model_ids))
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": _LOCK})
        # A statement of its own: it must see what was committed while the lock was waited for.
        rows = connection.execute(
            text("""
                SELECT model.id, version, decision.id AS decision_id
                FROM model LEFT JOIN decision ON decision.model_id = model.id AND active
                WHERE model.id = ANY(:ids)
            """),
            {"ids": ids},
        ).all()
        for row in rows:
            known = self._known.get(row.id)
            if known is None or known.id != row.decision_id:
                decision = self._instead.get(row.id) or _content(connection, row.id)
                self._known[row.id] = ActiveDecision(row.version, row.decision_id, decision)
        return {id_: self._known[id_] for id_ in ids}


def _content(connection: Connection, model_id: int) -> Decision:
    return Decision.from_json(
        connection.execute(
            text("""
                SELECT coalesce(decision.content, model.decision)
                FROM model LEFT JOIN decision ON decision.model_id = model.id AND active
                WHERE model.id = :id
            """),
            {"id": model_id},
        ).scalar_one()
    )


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One of a model's decisions."""

    id: int
    number: int
    reason: str
    active: bool
    decision: Decision


def of_model(connection: Connection, model_id: int) -> list[DecisionRow]:
    """All decisions of a model, the oldest first."""
    rows = connection.execute(
        text("""
            SELECT id, number, reason, active, content FROM decision
            WHERE model_id = :id ORDER BY number
        """),
        {"id": model_id},
    )
    return [
        DecisionRow(row.id, row.number, row.reason, row.active, Decision.from_json(row.content))
        for row in rows
    ]


def add(connection: Connection, model_id: int, decision: Decision, *, reason: str) -> DecisionRow:
    """Gives a model another decision, or finds the equal one that it has.

    The model's own, number 1, is in force from the start; a later one is not before `activate`.

    Raises:
        DecisionError: its vocabulary is not the model's: it would misread the scores.
    """
    # Numbers are given out one at a time.
    connection.execute(text("SELECT FROM model WHERE id = :id FOR NO KEY UPDATE"), {"id": model_id})
    connection.execute(
        text("""
            INSERT INTO decision (model_id, number, content, reason, active)
            SELECT id, 1, decision, 'its artifact', true FROM model
            WHERE id = :id AND NOT EXISTS (SELECT FROM decision WHERE model_id = :id)
        """),
        {"id": model_id},
    )
    known = of_model(connection, model_id)
    wanted = decision.to_json()
    for row in known:
        if row.decision.vocabulary != decision.vocabulary:
            raise DecisionError("its vocabulary is not the one of the model's scores")
        if row.decision.to_json() == wanted:
            return row
    number = len(known) + 1
    id_ = connection.execute(
        text("""
            INSERT INTO decision (model_id, number, content, reason)
            VALUES (:model_id, :number, CAST(:content AS jsonb), :reason) RETURNING id
        """),
        {
            "model_id": model_id,
            "number": number,
            "content": json.dumps(wanted),
            "reason": reason,
        },
    ).scalar_one()
    return DecisionRow(id_, number, reason, active=False, decision=decision)


def activate(connection: Connection, row: DecisionRow) -> None:
    """Puts a decision in force for what is decided from now on; commit soon, all wait for it."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(
        text("""
            UPDATE decision SET active = false
            WHERE model_id = (SELECT model_id FROM decision WHERE id = :id) AND active AND id <> :id
        """),
        {"id": row.id},
    )
    connection.execute(
        text("UPDATE decision SET active = true WHERE id = :id AND NOT active"), {"id": row.id}
    )
