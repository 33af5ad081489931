"""Model versions and the words they know."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, text

from shared.db import decisions
from shared.domain.decision import Decision
from shared.errors import ArtifactError, DecisionError, ModelUnknown

_COLUMNS = """
    id, version, status, recipe, metrics, dataset_sha256, location, manifest_sha256,
    shadow_share, created_at
"""


def register(
    connection: Connection,
    *,
    version: str,
    decision: Decision,
    recipe: Mapping[str, Any],
    metrics: Mapping[str, Any],
    dataset_sha256: str,
    parents: Mapping[str, str],
    location: str | None = None,
    manifest_sha256: str | None = None,
) -> int:
    """Makes sure that a model version, its decision and its words have their rows.

    Registering never changes what serves. A version that is known with other thresholds or
    related tags gets them as a further decision, which is not in force.

    Args:
        connection: a transaction.
        version: the model's name and hash.
        decision: its vocabulary, thresholds and related tags.
        recipe: how it was trained.
        metrics: how good it was on its test set.
        dataset_sha256: what it was trained on.
        parents: tag -> the tag above it.
        location: folder or URL of its artifact; kept only where none is known, see `relocate`.
        manifest_sha256: of the artifact that lies there.

    Returns:
        The model's row id.

    Raises:
        ArtifactError: the version is known with another vocabulary.
    """
    # The words first: workers that start together then meet here, in the same order.
    name_tags(connection, {*decision.vocabulary, *decision.related.names}, parents)
    model_id = connection.execute(
        text("""
            INSERT INTO model (version, status, recipe, metrics, dataset_sha256, decision,
                location, manifest_sha256)
            VALUES (:version, 'candidate', CAST(:recipe AS jsonb), CAST(:metrics AS jsonb),
                :dataset_sha256, CAST(:decision AS jsonb), :location, :manifest_sha256)
            ON CONFLICT (version) DO UPDATE SET
                location = coalesce(model.location, excluded.location),
                manifest_sha256 = CASE WHEN model.location IS NULL
                    THEN excluded.manifest_sha256 ELSE model.manifest_sha256 END
            RETURNING id
        """),
        {
            "version": version,
            "recipe": json.dumps(dict(recipe)),
            "metrics": json.dumps(dict(metrics)),
            "dataset_sha256": dataset_sha256,
            "decision": json.dumps(decision.to_json()),
            "location": location,
            "manifest_sha256": manifest_sha256,
        },
    ).scalar_one()
    try:
        decisions.add(connection, model_id, decision, reason="its artifact, registered again")
    except DecisionError as error:
        raise ArtifactError(f"{version} is known with other tags: {error.detail}") from None
    return model_id


def relocate(connection: Connection, model_id: int, *, location: str, manifest_sha256: str) -> None:
    """Says where a model's artifact lies from now on."""
    connection.execute(
        text("""
            UPDATE model SET location = :location, manifest_sha256 = :manifest_sha256
            WHERE id = :id
        """),
        {"id": model_id, "location": location, "manifest_sha256": manifest_sha256},
    )


def find(connection: Connection, version: str) -> Row[Any]:
    """The row of a model version.

    Raises:
        ModelUnknown: there is none.
    """
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM model WHERE version = :version"),  # noqa: S608  # our own
        {"version": version},
    ).one_or_none()
    if row is None:
        raise ModelUnknown(version)
    return row


def by_id(connection: Connection, model_id: int) -> Row[Any]:
    """The row of a model that exists."""
    return connection.execute(
        text(f"SELECT {_COLUMNS} FROM model WHERE id = :id"),  # noqa: S608  # our own
        {"id": model_id},
    ).one()


def champion_id(connection: Connection) -> int | None:
    """The row id of the model that serves."""
    return connection.execute(
        text("SELECT id FROM model WHERE status = 'champion' ORDER BY id LIMIT 1")
    ).scalar_one_or_none()


def newest_versions(connection: Connection, limit: int) -> list[str]:
    """The versions that were registered last, the newest first."""
    return list(
        connection.execute(
            text("SELECT version FROM model ORDER BY id DESC LIMIT :limit"), {"limit": limit}
        ).scalars()
    )


def in_service(connection: Connection) -> tuple[Row[Any] | None, Row[Any] | None]:
    """The champion and the shadow, where there is one."""
    rows = connection.execute(
        text(f"""
            SELECT {_COLUMNS} FROM model
            WHERE status = 'champion' OR shadow_share IS NOT NULL ORDER BY id
        """)  # noqa: S608  # our own
    ).all()
    champions = [row for row in rows if row.status == "champion"]
    shadows = [row for row in rows if row.status != "champion"]
    return (champions or [None])[0], (shadows or [None])[0]


def cast_shadow(connection: Connection, model_id: int | None, share: float | None) -> None:
    """Lets one model score a share of live photos beside the champion; None ends it."""
    connection.execute(
        text("""
            UPDATE model SET shadow_share = CASE WHEN id = :id THEN CAST(:share AS real) END
            WHERE shadow_share IS NOT NULL OR id = :id
        """),
        {"id": model_id, "share": share},
    )


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
