"""The shipped model under another name and by other thresholds: a second model for tests."""

from pathlib import Path
from typing import Any

from shared.settings import DEFAULT_MODEL
from worker.model.artifact import Artifact, Draft, load, write


def renamed(folder: Path, name: str = "second", **changes: Any) -> Artifact:
    """Writes it to a folder; `threshold` is one for all tags, the rest are a draft's entries."""
    shipped = load(DEFAULT_MODEL)
    manifest = shipped.manifest
    thresholds = list(manifest.thresholds)
    if "threshold" in changes:
        thresholds = [changes.pop("threshold")] * len(thresholds)
    entries: dict[str, Any] = {
        "name": name,
        "model": shipped.model,
        "input": manifest.input,
        "preprocessing": manifest.preprocessing,
        "vocabulary": manifest.vocabulary,
        "thresholds": thresholds,
        "parents": manifest.parents,
        "related_names": shipped.related.names,
        "related_matrix": shipped.related.matrix,
        "metrics": manifest.metrics,
        "provenance": manifest.provenance,
        "related": manifest.related,
    }
    return write(folder, Draft(**(entries | changes)), f"# {name}\n")
