"""Events, a small model and shortcuts that tests share."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, text

from producer.intake import Counts, Intake
from producer.lines import Line
from shared.db import listings, models, photos, votes
from shared.db.decisions import Decisions
from shared.db.photos import Claim, Settled
from shared.db.votes import TAG, Verdict, Vote
from shared.domain.decision import Decision
from shared.domain.photo import Lane, Status
from shared.domain.related import RelatedTags
from shared.settings import Settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

#: Two tags that are read off photos, and a third that goes with cameras.
DECISION = Decision(
    vocabulary=("camera", "cable"),
    thresholds=np.array([0.5, 0.5], np.float32),
    related=RelatedTags(
        ("camera", "cable", "tripod"),
        np.array([[1, 0, 0.6], [0, 1, 0.1], [0.6, 0.1, 1]], np.float32),
    ),
)


def event(listing: str = "L1", **changes: Any) -> dict[str, Any]:
    """A listing event; `minute` moves its time."""
    minute = changes.pop("minute", 0)
    return {
        "event_id": f"E-{listing}-{minute}",
        "type": "listing.created",
        "occurred_at": (NOON + timedelta(minutes=minute)).isoformat(),
        "listing_id": listing,
        "title": "A camera",
        "seller_tags": ["bargain"],
        "photos": [f"http://origin.test/{listing}/0.jpg"],
    } | changes


def record(engine: Engine, settings: Settings, *events: dict[str, Any] | bytes) -> Counts:
    """Records events as one batch."""
    lines = [
        Line(raw, f"test:{number}", len(raw))
        for number, raw in enumerate(
            (item if isinstance(item, bytes) else json.dumps(item).encode() for item in events),
            start=1,
        )
    ]
    return Intake(engine, settings).record(lines)


def register(connection: Connection, decision: Decision = DECISION, version: str = "m-1") -> int:
    """A model version's row."""
    return models.register(
        connection,
        version=version,
        decision=decision,
        recipe={},
        metrics={},
        dataset_sha256="0" * 64,
        parents={},
    )


def claim_all(engine: Engine, *, lease_s: float = 60, holder: int | None = None) -> list[Claim]:
    """Queues and claims every due photo."""
    with engine.begin() as connection:
        due = [
            id_
            for lane in Lane
            for alone in (False, True)
            for id_ in photos.mark_queued(connection, lane, alone=alone, limit=1000, lease_s=60)
        ]
    with engine.begin() as connection:
        return [
            claim
            for alone in (False, True)
            for claim in photos.claim(connection, due, alone=alone, lease_s=lease_s, holder=holder)
        ]


def tagged(claim: Claim, model_id: int, scores: Sequence[float]) -> Settled:
    """A claim's happy end."""
    return Settled(
        id=claim.id,
        token=claim.token,
        status=Status.TAGGED,
        lane=claim.lane,
        attempt=claim.attempt,
        scores=np.asarray(scores, np.float32),
        model_id=model_id,
        content_sha256="ab" * 32,
        content_bytes=1000,
        width=100,
        height=80,
    )


def settle(engine: Engine, *settled: Settled) -> set[int]:
    """Settles photos and publishes their listings; returns the photos that were written."""
    with engine.begin() as connection:
        owners = connection.execute(
            text("SELECT listing_id FROM photo WHERE id = ANY(:ids)"),
            {"ids": [photo.id for photo in settled]},
        ).scalars()
        ids = sorted(set(owners))
        listings.lock(connection, ids)
        written = photos.settle(connection, settled)
        listings.publish(connection, {row.listing_id for row in written}, Decisions())
    return {row.id for row in written}


def champion(connection: Connection) -> int:
    """The champion's row; one is made if there is none."""
    serving, _ = models.in_service(connection)
    if serving is not None:
        return serving.id
    model_id = register(connection)
    connection.execute(
        text("UPDATE model SET status = 'champion' WHERE id = :id"), {"id": model_id}
    )
    return model_id


def tag_all(engine: Engine, scores: Sequence[float] = (0.9, 0.1)) -> None:
    """Every due photo gets these scores for camera and cable, of the champion."""
    with engine.begin() as connection:
        model_id = champion(connection)
    claims = claim_all(engine)
    if claims:
        settle(engine, *(tagged(claim, model_id, scores) for claim in claims))


def listing(
    engine: Engine, settings: Settings, name: str, scores: Sequence[float], **changes: object
) -> int:
    """Records a listing whose photos all get these scores for camera and cable; its row."""
    record(engine, settings, event(name, **changes))
    tag_all(engine, scores)
    return rows(engine, "SELECT id FROM listing WHERE external_id = :name", name=name)[0][0]


def vote(
    connection: Connection,
    reviewer_id: int,
    listing_id: int,
    subject: str,
    verdict: Verdict,
    *,
    kind: str = TAG,
) -> None:
    """Votes on a listing with the photos that it has."""
    shown = connection.execute(
        text(f"SELECT {votes.photos_sha256(':id')}"), {"id": listing_id}
    ).scalar_one()
    assert votes.cast(
        connection, Vote(reviewer_id, listing_id, kind, subject, verdict, shown and bytes(shown))
    )


def rows(engine: Engine, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """What a query answers."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), parameters)]
