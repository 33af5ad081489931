"""Which model is the champion, and how it came to be: promotions and the way back."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, text

from shared.db.models import champion_id

Kind = Literal["first", "gate", "forced", "rollback"]

#: Any number, the same in every process: one promotion at a time.
_LOCK = 7_206_315_051


def promote(
    connection: Connection, model_id: int, *, kind: Kind, gate: Mapping[str, Any]
) -> int | None:
    """Makes a model the champion, and retires the one before it; neither is a shadow then.

    Args:
        connection: a transaction.
        model_id: the model; nothing happens if it is the champion already.
        kind: what allowed it.
        gate: the numbers it was decided by.

    Returns:
        The row id of the champion before.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    previous = champion_id(connection)
    if previous == model_id:
        return previous
    connection.execute(
        text("""
            UPDATE model SET status = CASE WHEN id = :id THEN 'champion' ELSE 'retired' END,
                shadow_share = NULL
            WHERE status = 'champion' OR id = :id
        """),
        {"id": model_id},
    )
    connection.execute(
        text("""
            INSERT INTO promotion (model_id, previous_id, kind, gate)
            VALUES (:model_id, :previous_id, :kind, CAST(:gate AS jsonb))
        """),
        {
            "model_id": model_id,
            "previous_id": previous,
            "kind": kind,
            "gate": json.dumps(dict(gate)),
        },
    )
    return previous


def promote_first(connection: Connection, model_id: int) -> bool:
    """Makes a model the champion where there is none; returns whether it did."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if champion_id(connection) is not None:
        return False
    promote(connection, model_id, kind="first", gate={})
    return True


def before(connection: Connection, model_id: int) -> int | None:
    """The champion that a rollback leads to from a model that serves; None without any.

    A rollback takes the last promotion off those that stand. Going back twice therefore goes
    back two promotions, not to and fro, also where a model was promoted more than once.
    """
    standing: list[int] = []  # champions, each after the one it took over from
    for row in connection.execute(
        text("SELECT model_id, previous_id, kind FROM promotion ORDER BY id")
    ):
        if row.kind == "rollback":
            while standing and standing[-1] != row.model_id:
                standing.pop()
        elif row.previous_id is not None and standing[-1:] != [row.previous_id]:
            standing.append(row.previous_id)  # a worker of before made it champion
        if standing[-1:] != [row.model_id]:
            standing.append(row.model_id)
    return standing[-2] if len(standing) > 1 and standing[-1] == model_id else None
