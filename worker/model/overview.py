"""What is known of registered models: all in a list, or two side by side."""

from typing import Any

from sqlalchemy import Connection, Row, text

from shared.db import models, promotions
from shared.db.decisions import Decisions
from shared.domain.decision import Decision
from worker.model import gate
from worker.model.agreement import agreement


def listed(connection: Connection) -> list[dict[str, Any]]:
    """Every model version, the newest first.

    Of the champion, `serving_by` says what made it serve: `first`, `gate`, `forced` or
    `rollback`. `rollback_here` is True for the model that a rollback leads to.
    """
    champion = models.champion_id(connection)
    back = promotions.before(connection, champion) if champion is not None else None
    rows = connection.execute(
        text("""
            SELECT model.id, version, status, metrics, model.created_at, location, shadow_share,
                (SELECT number FROM decision WHERE model_id = model.id AND active) AS decision,
                (SELECT max(number) FROM decision WHERE model_id = model.id) AS decisions,
                latest.created_at AS serving_since, latest.kind AS serving_by,
                coalesce(scored.photos, 0) AS photos
            FROM model LEFT JOIN (
                SELECT model_id, count(*) AS photos FROM photo
                WHERE status = 'tagged' GROUP BY model_id
            ) AS scored ON scored.model_id = model.id
            LEFT JOIN LATERAL (
                SELECT promotion.created_at, kind FROM promotion
                WHERE model_id = model.id ORDER BY promotion.id DESC LIMIT 1
            ) AS latest ON status = 'champion'
            ORDER BY model.id DESC
        """)
    ).all()
    return [
        {
            "version": row.version,
            "status": row.status,
            "created_at": row.created_at.isoformat(timespec="seconds"),
            **gate.test_measures(row.metrics),
            "photos": row.photos,
            "serving_since": row.serving_since and row.serving_since.isoformat(timespec="seconds"),
            "serving_by": row.serving_by,
            "rollback_here": row.id == back,
            "shadow_share": row.shadow_share,
            "decision": row.decision,
            "decisions": row.decisions,
            "location": row.location,
        }
        for row in rows
    ]


def compared(connection: Connection, one: str, other: str) -> dict[str, Any]:
    """Two models side by side, from what is stored: no photo is looked at.

    Returns:
        `models`: what each is worth by its recorded test, with its thresholds in force and how
        many photos it scored; `comparable`: whether both were tested on the same data set;
        `agreement`: on photos that one served and the other shadowed.

    Raises:
        ModelUnknown: one of them is not registered.
    """
    rows = [models.find(connection, version) for version in (one, other)]
    active = Decisions().active(connection, [row.id for row in rows])
    pair = [(row.id, active[row.id].decision) for row in rows]
    connection.rollback()  # counting takes long, and holding the decisions must not
    return {
        "models": [
            _described(connection, row, its) for row, (_, its) in zip(rows, pair, strict=True)
        ],
        "comparable": rows[0].dataset_sha256 == rows[1].dataset_sha256
        and rows[0].recipe.get("seed") == rows[1].recipe.get("seed"),
        "agreement": [
            {
                "served": rows[a].version,
                "shadow": rows[b].version,
                **agreement(connection, pair[a], pair[b]),
            }
            for a, b in ((0, 1), (1, 0))
        ],
    }


def _described(connection: Connection, row: Row[Any], decision: Decision) -> dict[str, Any]:
    by_tag = gate.entries(gate.entries(row.metrics, "test"), "by_tag")
    photos = connection.execute(
        text("SELECT count(*) FROM photo WHERE model_id = :id AND status = 'tagged'"),
        {"id": row.id},
    ).scalar_one()
    return {
        "version": row.version,
        "status": row.status,
        **gate.test_measures(row.metrics),
        "photos": photos,
        "related_cutoff": decision.related.cutoff,
        "tags": {
            tag: {
                "threshold": round(float(threshold), 6),
                "f1": gate.number(gate.entries(by_tag, tag).get("f1")),
                "average_precision": gate.number(
                    gate.entries(by_tag, tag).get("average_precision")
                ),
            }
            for tag, threshold in zip(decision.vocabulary, decision.thresholds, strict=True)
        },
    }
