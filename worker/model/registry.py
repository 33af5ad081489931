"""A model artifact made known in the tables, so that its scores can be read."""

from sqlalchemy import Connection

from shared.db import models
from shared.domain.decision import Decision
from worker.model.artifact import Artifact


def decision_of(artifact: Artifact) -> Decision:
    """What turns this model's scores into tags."""
    return Decision(artifact.vocabulary, artifact.thresholds, artifact.related)


def register(connection: Connection, artifact: Artifact, *, champion: bool) -> int:
    """Gives the model version and its words their rows; returns the model's row id."""
    manifest = artifact.manifest
    return models.register(
        connection,
        version=artifact.version,
        decision=decision_of(artifact),
        recipe=manifest.provenance.recipe,
        metrics=manifest.metrics,
        dataset_sha256=manifest.provenance.dataset_sha256,
        parents=manifest.parents,
        champion=champion,
    )
