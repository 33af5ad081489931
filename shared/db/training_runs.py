"""A training run's way through its states; the same leases and tokens as photos have."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from shared.db import photos

MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class TrainingClaim:
    """A run that this worker holds until its lease runs out or is renewed."""

    id: int
    request: dict[str, Any]
    token: int
    attempt: int


def request(connection: Connection, settings: Mapping[str, Any]) -> int:
    """Asks for a training; returns the run's id."""
    run_id = connection.execute(
        text("INSERT INTO training_run (request) VALUES (CAST(:request AS jsonb)) RETURNING id"),
        {"request": json.dumps(dict(settings))},
    ).scalar_one()
    photos.wake_relay(connection)
    return run_id


def mark_queued(connection: Connection, *, lease_s: float) -> list[int]:
    """Takes the pending runs, for messages to name."""
    return list(
        connection.execute(
            text("""
            UPDATE training_run SET status = 'queued',
                lease_until = now() + :lease_s * interval '1 s'
            WHERE id IN (
                SELECT id FROM training_run WHERE status = 'pending'
                ORDER BY id FOR UPDATE SKIP LOCKED)
            RETURNING id
        """),
            {"lease_s": lease_s},
        ).scalars()
    )


def claim(connection: Connection, run_id: int, *, lease_s: float) -> TrainingClaim | None:
    """Takes a queued run; None when it is finished or someone else's."""
    row = connection.execute(
        text("""
            UPDATE training_run SET status = 'running', attempt = attempt + 1,
                token = nextval('fencing_token'), started_at = coalesce(started_at, now()),
                lease_until = now() + :lease_s * interval '1 s'
            WHERE id = :id AND status = 'queued'
            RETURNING id, request, token, attempt
        """),
        {"id": run_id, "lease_s": lease_s},
    ).one_or_none()
    if row is None:
        return None
    return TrainingClaim(row.id, row.request, row.token, row.attempt)


def heartbeat(
    connection: Connection, held: TrainingClaim, progress: Mapping[str, Any], *, lease_s: float
) -> bool:
    """Renews the lease and shows how far the run is; False when the run is lost."""
    return (
        connection.execute(
            text("""
            UPDATE training_run SET progress = CAST(:progress AS jsonb),
                lease_until = now() + :lease_s * interval '1 s'
            WHERE id = :id AND token = :token AND status = 'running'
        """),
            {
                "id": held.id,
                "token": held.token,
                "progress": json.dumps(dict(progress)),
                "lease_s": lease_s,
            },
        ).rowcount
        == 1
    )


def release(connection: Connection, held: TrainingClaim) -> None:
    """Hands a run back before its end, as if this worker had never had it."""
    connection.execute(
        text("""
            UPDATE training_run SET status = 'pending', attempt = attempt - 1,
                lease_until = NULL, token = NULL
            WHERE id = :id AND token = :token AND status = 'running'
        """),
        {"id": held.id, "token": held.token},
    )


def finish(
    connection: Connection,
    held: TrainingClaim,
    *,
    model_id: int | None = None,
    error_code: str | None = None,
    error_detail: str | None = None,
) -> bool:
    """Ends a run, with a model or with an error; False when the run is lost."""
    return (
        connection.execute(
            text("""
            UPDATE training_run SET
                status = CASE WHEN CAST(:error_code AS text) IS NULL
                    THEN 'succeeded' ELSE 'failed' END,
                model_id = :model_id, error_code = :error_code, error_detail = :error_detail,
                lease_until = NULL, token = NULL, finished_at = now()
            WHERE id = :id AND token = :token AND status = 'running'
        """),
            {
                "id": held.id,
                "token": held.token,
                "model_id": model_id,
                "error_code": error_code,
                "error_detail": error_detail,
            },
        ).rowcount
        == 1
    )


def sweep(connection: Connection) -> int:
    """Makes runs pending again whose lease ran out; fails those that crashed too often."""
    return connection.execute(
        text("""
            UPDATE training_run SET
                status = CASE WHEN status = 'running' AND attempt >= :most
                    THEN 'failed' ELSE 'pending' END,
                error_code = CASE WHEN status = 'running' AND attempt >= :most
                    THEN 'crashed' END,
                error_detail = CASE WHEN status = 'running' AND attempt >= :most
                    THEN 'the training worker died ' || attempt || ' times' END,
                finished_at = CASE WHEN status = 'running' AND attempt >= :most THEN now() END,
                lease_until = NULL, token = NULL
            WHERE id IN (
                SELECT id FROM training_run
                WHERE finished_at IS NULL AND lease_until < now()
                ORDER BY id FOR UPDATE SKIP LOCKED)
        """),
        {"most": MAX_ATTEMPTS},
    ).rowcount
