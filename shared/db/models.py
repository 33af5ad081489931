"""Model versions and the words they know."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, text

from shared.domain.decision import Decision
from shared.errors import ArtifactError


def register(
    connection: Connection,
    *,
    version: str,
    decision: Decision,
    recipe: Mapping[str, Any],
    metrics: Mapping[str, Any],
    dataset_sha256: str,
    parents: Mapping[str, str],
    champion: bool = False,
) -> int:
    """Makes sure that a model version and its words have their rows.

    Args:
        connection: a transaction.
        version: the model's name and hash.
        decision: its vocabulary, thresholds and related tags.
        recipe: how it was trained.
        metrics: how good it was on its test set.
        dataset_sha256: what it was trained on.
        parents: tag -> the tag above it.
        champion: whether it is the one that serves from now on.

    Returns:
        The model's row id.

    Raises:
        ArtifactError: the version is known with another decision. Stored tags would not say
            which of the two made them.
    """
    # The words first: workers that start together then meet here, in the same order.
    name_tags(connection, {*decision.vocabulary, *decision.related.names}, parents)
    row = connection.execute(
        text("""
            INSERT INTO model (version, status, recipe, metrics, dataset_sha256, decision)
            VALUES (:version, 'candidate', CAST(:recipe AS jsonb), CAST(:metrics AS jsonb),
                :dataset_sha256, CAST(:decision AS jsonb))
            ON CONFLICT (version) DO UPDATE SET version = excluded.version
            RETURNING id, decision
        """),
        {
            "version": version,
            "recipe": json.dumps(dict(recipe)),
            "metrics": json.dumps(dict(metrics)),
            "dataset_sha256": dataset_sha256,
            "decision": json.dumps(decision.to_json()),
        },
    ).one()
    if row.decision != decision.to_json():
        raise ArtifactError(f"{version} is known with other thresholds or related tags")
    if champion:
        connection.execute(
            text("""
                UPDATE model SET status = CASE WHEN id = :id THEN 'champion' ELSE 'retired' END
                WHERE status = 'champion' AND id <> :id OR status <> 'champion' AND id = :id
            """),
            {"id": row.id},
        )
    return row.id


def name_tags(connection: Connection, names: Iterable[str], parents: Mapping[str, str]) -> None:
    """Makes sure that every name has its row in `tag`, under its parent."""
    ordered = sorted({*names, *parents.keys(), *parents.values()})
    connection.execute(
        text("""
            INSERT INTO tag (name) SELECT unnest(CAST(:names AS text[]))
            ON CONFLICT (name) DO NOTHING
        """),
        {"names": ordered},
    )
    children = sorted(parents)
    connection.execute(
        text("""
            UPDATE tag SET parent_id = parent.id
            FROM unnest(CAST(:children AS text[]), CAST(:parents AS text[])) AS pair(child, parent)
            JOIN tag AS parent ON parent.name = pair.parent
            WHERE tag.name = pair.child AND tag.parent_id IS DISTINCT FROM parent.id
        """),
        {"children": children, "parents": [parents[child] for child in children]},
    )


def tag_ids(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """The row ids of known tag names."""
    rows = connection.execute(
        text("SELECT name, id FROM tag WHERE name = ANY(:names)"), {"names": sorted(set(names))}
    )
    return {row.name: row.id for row in rows}


class Decisions:
    """The decisions of model versions, read once each: a version never changes."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[str, Decision]] = {}

    def get(self, connection: Connection, model_id: int) -> tuple[str, Decision]:
        """The version name and the decision of a model."""
        if model_id not in self._known:
            row = connection.execute(
                text("SELECT version, decision FROM model WHERE id = :id"), {"id": model_id}
            ).one()
            self._known[model_id] = (row.version, Decision.from_json(row.decision))
        return self._known[model_id]
