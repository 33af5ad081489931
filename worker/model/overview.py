"""What is known of registered models: all in a list, or two side by side."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, text

from shared.db import models
from shared.db.decisions import Decisions
from shared.domain.decision import Decision
from worker.model.agreement import agreement
from worker.model.gate import test_measures


def listed(connection: Connection) -> list[dict[str, Any]]:
    """Every model version, the newest first."""
    rows = connection.execute(
        text("""
            SELECT version, status, metrics, model.created_at, location, shadow_share,
                (SELECT number FROM decision WHERE model_id = model.id AND active) AS decision,
                (SELECT max(number) FROM decision WHERE model_id = model.id) AS decisions,
                CASE WHEN status = 'champion' THEN (
                    SELECT max(promotion.created_at) FROM promotion WHERE model_id = model.id
                ) END AS serving_since,
                coalesce(scored.photos, 0) AS photos
            FROM model LEFT JOIN (
                SELECT model_id, count(*) AS photos FROM photo
                WHERE status = 'tagged' GROUP BY model_id
            ) AS scored ON scored.model_id = model.id
            ORDER BY model.id DESC
        """)
    ).all()
    return [
        {
            "version": row.version,
            "status": row.status,
            "created_at": row.created_at.isoformat(timespec="seconds"),
            **test_measures(row.metrics),
            "photos": row.photos,
            "serving_since": row.serving_since and row.serving_since.isoformat(timespec="seconds"),
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
    test: Mapping[str, Any] = row.metrics.get("test") or {}
    by_tag: Mapping[str, Mapping[str, Any]] = test.get("by_tag") or {}
    photos = connection.execute(
        text("SELECT count(*) FROM photo WHERE model_id = :id AND status = 'tagged'"),
        {"id": row.id},
    ).scalar_one()
    return {
        "version": row.version,
        "status": row.status,
        **test_measures(row.metrics),
        "photos": photos,
        "related_cutoff": decision.related.cutoff,
        "tags": {
            tag: {
                "threshold": round(float(threshold), 6),
                "f1": by_tag.get(tag, {}).get("f1"),
                "average_precision": by_tag.get(tag, {}).get("average_precision"),
            }
            for tag, threshold in zip(decision.vocabulary, decision.thresholds, strict=True)
        },
    }
