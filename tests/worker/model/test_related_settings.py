"""How an artifact recommends related tags."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.worker.model.drafts import draft
from worker.model.artifact import Artifact, load, write
from worker.model.manifest import MANIFEST, SERVED, RelatedSettings

MATRIX = np.array([[1, 0.5, 0.3], [0.5, 1, 0.3], [0.3, 0.3, 1]], np.float32)
GIVEN = ["cables", "headphones"]


def _written(folder: Path, settings: RelatedSettings) -> Artifact:
    return write(folder, draft(related=settings, related_matrix=MATRIX), "")


def test_what_new_models_are_served_with_is_the_mean(tmp_path: Path) -> None:
    artifact = _written(tmp_path / "model", SERVED)
    assert load(tmp_path / "model").manifest.related == SERVED
    assert artifact.related.recommend(GIVEN) == [("hubs", pytest.approx(0.3))]


def test_a_manifest_that_names_only_cutoff_and_limit_sums(tmp_path: Path) -> None:
    _written(tmp_path / "model", SERVED)
    manifest = tmp_path / "model" / MANIFEST
    entries = json.loads(manifest.read_text())
    entries["related"] = {"cutoff": 0.2, "limit": 10}
    manifest.write_text(json.dumps(entries))
    artifact = load(tmp_path / "model")
    assert artifact.manifest.related == RelatedSettings()
    assert artifact.related.recommend(GIVEN) == [("hubs", pytest.approx(0.6))]
