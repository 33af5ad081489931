"""An artifact may have a judge of spam, and is refused with one that does not fit."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ArtifactError
from tests.judge import JUDGE
from tests.worker.model.drafts import draft
from worker.model.artifact import load, write, write_spam
from worker.model.registry import decision_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artifact with a judge."""
    write(tmp_path / "model", draft(spam=JUDGE), "# Card\n")
    return tmp_path / "model"


def _put(folder: Path, content: bytes) -> None:
    """Other content under its right hash, as a forger would."""
    (folder / "spam.json").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest["files"]["spam.json"] = entry
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_judge_is_loaded_and_part_of_the_decision(folder: Path) -> None:
    artifact = load(folder)
    assert artifact.spam is not None
    assert artifact.spam.to_json() == JUDGE.to_json()
    assert decision_of(artifact).to_json()["spam"] == JUDGE.to_json()


def test_without_one_nobody_is_doubted_and_no_file_is_written(tmp_path: Path) -> None:
    artifact = write(tmp_path / "model", draft(), "# Card\n")
    assert artifact.spam is None
    assert "spam" not in decision_of(artifact).to_json()
    assert not (tmp_path / "model/spam.json").exists()


def test_a_judge_is_put_into_an_artifact_that_stays_what_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    before = write(folder, draft(), "# Card\n")
    after = write_spam(folder, JUDGE)
    assert after.version == before.version
    assert (folder / "MODEL_CARD.md").read_text() == "# Card\n"
    kept, changed = before.manifest.model_dump(), after.manifest.model_dump()
    assert {*changed.pop("files")} - {*kept.pop("files")} == {"spam.json"}
    assert changed == kept


def _spoilt(**changes: Any) -> bytes:
    return json.dumps({**JUDGE.to_json(), **changes}).encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b" ", "Expecting value"),
        (b"[]", "SpamFile"),
        (b"{}", "Field required"),
        (b"[" * 100_000, "spam.json"),
        (_spoilt(surprise=1), "surprise"),
        (_spoilt(cutoff="0.5"), "cutoff"),
        (_spoilt(cutoff=0), "cutoff"),
        (_spoilt(pairs=[[0, 1, 2]]), "pairs"),
        (_spoilt(pairs=[[0, 9]]), "outside the vocabulary"),
        (_spoilt(pairs=[[0, 10**30]]), "spam.json"),
        (_spoilt(names=["a", "a", "b"]), "twice"),
        (_spoilt(biases=[1e39, 0.0, 0.0]), "spam.json"),
        (_spoilt(weights=[[0.0], [0.0, 0.0], [0.0]]), "spam.json"),
        (json.dumps(JUDGE.to_json()).replace("0.8", "NaN").encode(), "NaN"),
        (_spoilt(names=["a\0", "b", "c"]), "NUL"),
        (_spoilt(names=[f"name {number}" for number in range(1001)]), "at most 1000"),
    ],
)
def test_one_that_does_not_fit_is_refused_with_the_reason(
    folder: Path, content: bytes, why: str
) -> None:
    _put(folder, content)
    with pytest.raises(ArtifactError, match=why):
        load(folder)


def test_another_file_is_still_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["extra.json"] = manifest["files"]["spam.json"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"extra\.json"):
        load(folder)
