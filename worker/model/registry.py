"""A model artifact made known in the tables, so that its scores can be read."""

from sqlalchemy import Connection

from shared.db import models, promotions
from shared.domain.decision import Decision
from worker.model.artifact import Artifact
from worker.model.store import Kept


def decision_of(artifact: Artifact) -> Decision:
    """What turns this model's scores into tags, as its artifact says."""
    return Decision(artifact.vocabulary, artifact.thresholds, artifact.related)


def register(
    connection: Connection, artifact: Artifact, *, champion: bool = False, kept: Kept | None = None
) -> int:
    """Gives the model version and its words their rows, as a candidate.

    Args:
        connection: a transaction.
        artifact: the model.
        champion: whether it is to serve where no model does yet; one that serves goes on.
        kept: where workers find the artifact; without it, it cannot be promoted.

    Returns:
        The model's row id.

    Raises:
        ArtifactError: the version is known with another vocabulary.
    """
    manifest = artifact.manifest
    model_id = models.register(
        connection,
        version=artifact.version,
        decision=decision_of(artifact),
        recipe=manifest.provenance.recipe,
        metrics=manifest.metrics,
        dataset_sha256=manifest.provenance.dataset_sha256,
        parents=manifest.parents,
        location=kept.location if kept else None,
        manifest_sha256=kept.manifest_sha256 if kept else None,
    )
    if champion:
        promotions.promote_first(connection, model_id)
    return model_id
