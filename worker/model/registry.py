"""A model artifact made known in the tables, so that its scores can be read."""

from sqlalchemy import Connection

from shared.db import models, promotions
from shared.domain.decision import Decision
from shared.errors import ArtifactError
from worker.model.artifact import Artifact
from worker.model.store import Kept


def decision_of(artifact: Artifact) -> Decision:
    """What turns this model's scores into tags, as its artifact says."""
    return Decision(artifact.vocabulary, artifact.thresholds, artifact.related, artifact.spam)


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


def refuse_other_pixels(known: Artifact, again: Artifact) -> None:
    """Lets a known version take another place only with the pixels that it was judged by.

    The version names the weights alone. Other thresholds wait as a decision; another size or
    preprocessing would serve at once and past the gate, since workers read them off the artifact.

    Raises:
        ArtifactError: the pixels would be others.
    """
    for name in ("preprocessing", "input"):
        was, would_be = getattr(known.manifest, name), getattr(again.manifest, name)
        if was != would_be:
            raise ArtifactError(
                f"{known.version} is known with {name} {was}, not {would_be}: "
                "the same weights on other pixels are another model"
            )
