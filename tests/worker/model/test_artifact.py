"""What is written can be loaded, and nothing else can."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import ArtifactError
from tests.worker.model.drafts import TAGS, draft
from worker.model.artifact import load, write

Manifest = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    write(folder, draft(), "# Card\n")
    return folder


def _rewrite(folder: Path, change: Callable[[Manifest], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def _replace(folder: Path, name: str, content: bytes) -> None:
    """Puts other content under its right hash, as a forger would."""
    (folder / name).write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    _rewrite(folder, lambda manifest: manifest["files"].update({name: entry}))


def test_a_written_artifact_loads_with_everything_in_it(folder: Path) -> None:
    artifact = load(folder)
    digest = hashlib.sha256(artifact.model).hexdigest()
    assert artifact.version == f"vanilla-{digest[:12]}"
    assert artifact.vocabulary == TAGS
    assert artifact.thresholds.tolist() == [0.25, 0.5]
    assert artifact.thresholds.dtype == np.float32
    assert artifact.manifest.parents == {"headphones": "cables"}
    assert artifact.related.recommend(["cables"]) == [("headphones", 0.5)]
    assert artifact.manifest.created_at.tzinfo is not None
    assert (folder / "MODEL_CARD.md").read_text() == "# Card\n"


def test_the_card_is_for_people_and_may_change(folder: Path) -> None:
    (folder / "MODEL_CARD.md").write_text("# A better card\n")
    load(folder)


def test_writing_over_an_artifact_replaces_it_and_leaves_nothing_beside(folder: Path) -> None:
    old = load(folder)
    new = write(folder, draft(model=b"another"), "")
    assert new.version != old.version
    assert load(folder).version == new.version
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_draft_that_would_be_refused_leaves_the_old_artifact(folder: Path) -> None:
    old = load(folder).version
    with pytest.raises(ArtifactError):
        write(folder, draft(thresholds=[0.5]), "")
    assert load(folder).version == old
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"manifest\.json: No such file"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["manifest.json", "model.tflite", "related.json"])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match="No such file"):
        load(folder)


@pytest.mark.parametrize("name", ["model.tflite", "related.json"])
def test_a_file_with_another_hash_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[5] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ArtifactError, match="hash is not the manifest's"):
        load(folder)


def test_a_file_of_another_size_is_refused(folder: Path) -> None:
    with (folder / "model.tflite").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ArtifactError, match=r"model\.tflite: 55 bytes, the manifest says 51"):
        load(folder)


def test_a_giant_file_is_refused_without_reading_all_of_it(folder: Path) -> None:
    os.truncate(folder / "model.tflite", 1 << 40)
    with pytest.raises(ArtifactError, match="more than 67108864 bytes"):
        load(folder)


@pytest.mark.parametrize("name", ["manifest.json", "model.tflite"])
def test_a_symlink_is_refused_even_to_the_right_bytes(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / name)
    (folder / name).symlink_to(folder.parent / name)
    with pytest.raises(ArtifactError, match="symbolic links"):
        load(folder)


def test_a_named_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    (folder / "model.tflite").unlink()
    os.mkfifo(folder / "model.tflite")
    with pytest.raises(ArtifactError, match="not a plain file"):
        load(folder)


@pytest.mark.parametrize("name", ["../model.tflite", "/etc/passwd", "..", "a\\b", ".hidden"])
def test_a_file_name_that_leads_elsewhere_is_refused(folder: Path, name: str) -> None:
    _rewrite(folder, lambda manifest: manifest["files"].update({name: {"sha256": "0", "bytes": 1}}))
    with pytest.raises(ArtifactError, match="files"):
        load(folder)


def test_a_file_that_the_format_does_not_have_is_refused(folder: Path) -> None:
    entry = {"sha256": "0" * 64, "bytes": 1}
    _rewrite(folder, lambda manifest: manifest["files"].update({"code.py": entry}))
    with pytest.raises(ArtifactError, match=r"files are .*code\.py"):
        load(folder)


def test_another_models_file_does_not_pass_for_this_version(folder: Path) -> None:
    _replace(folder, "model.tflite", b"another model")
    with pytest.raises(ArtifactError, match="version does not belong"):
        load(folder)


@pytest.mark.parametrize(
    ("entry", "value", "complaint"),
    [
        ("format", 2, "format"),
        ("preprocessing", "bgr-bilinear-v0", "preprocessing 'bgr-bilinear-v0' is not known"),
        ("vocabulary", ["cables", "Cables"], "twice"),
        ("vocabulary", ["cables", "x" * 201], "vocabulary.1"),
        ("vocabulary", ["cables", ""], "vocabulary.1"),
        ("vocabulary", ["cables", " headphones"], "vocabulary.1"),
        ("vocabulary", ["cables", 7], "vocabulary.1"),
        ("vocabulary", [], "vocabulary"),
        ("vocabulary", ["cables", "headphones", "hubs"], "3 tags, 2 thresholds"),
        ("thresholds", [0.5], "2 tags, 1 thresholds"),
        ("thresholds", [0.5, 0.0], "thresholds.1"),
        ("thresholds", [0.5, 1.5], "thresholds.1"),
        ("thresholds", [0.5, float("nan")], "NaN is not a number"),
        ("thresholds", [0.5, "0.5"], "thresholds.1"),
        ("parents", {"headphones": "audio"}, "outside the vocabulary"),
        ("parents", {"headphones": "headphones"}, "its own ancestor"),
        ("parents", {"headphones": "cables", "cables": "headphones"}, "its own ancestor"),
        ("input", {"height": 35, "width": 100_000}, "input.width"),
        ("input", {"height": 35}, "input.width"),
        ("related", {"cutoff": -1.0, "limit": 10}, "related.cutoff"),
        ("version", "vanilla-000000000000", "version does not belong"),
        ("surprise", 1, "surprise"),
    ],
)
def test_a_manifest_entry_that_is_wrong_is_refused(
    folder: Path, entry: str, value: object, complaint: str
) -> None:
    _rewrite(folder, lambda manifest: manifest.update({entry: value}))
    with pytest.raises(ArtifactError, match=complaint):
        load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"format": 1}'])
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        load(folder)


@pytest.mark.parametrize(
    ("names", "matrix", "complaint"),
    [
        (["cables", "hubs"], "[[1, NaN], [NaN, 1]]", "NaN is not a number"),
        (["cables", "hubs"], "[[1, 1e999], [1e999, 1]]", "finite"),
        (["cables", "hubs"], "[[1, 2], [2, 1]]", "not within"),
        (["cables", "hubs"], "[[1, 0.5], [0.5]]", "inhomogeneous"),
        (["cables", "hubs"], "[[1]]", "2 related tags"),
        (["cables", "cables"], "[[1, 0], [0, 1]]", "twice"),
        (["hubs"], "[[1]]", "knows no tag"),
        ([], "[]", "0 related tags|knows no tag"),
    ],
)
def test_a_related_matrix_that_is_wrong_is_refused(
    folder: Path, names: list[str], matrix: str, complaint: str
) -> None:
    content = f'{{"names": {json.dumps(names)}, "matrix": {matrix}}}'
    _replace(folder, "related.json", content.encode())
    with pytest.raises(ArtifactError, match=complaint):
        load(folder)


def test_a_character_that_postgres_takes_in_no_text_is_refused(folder: Path) -> None:
    _rewrite(folder, lambda manifest: manifest["metrics"].update(note="a\0b"))
    with pytest.raises(ArtifactError, match="NUL"):
        load(folder)
    write(folder, draft(), "")
    _replace(
        folder, "related.json", b'{"names": ["cables", "a\\u0000b"], "matrix": [[1, 0], [0, 1]]}'
    )
    with pytest.raises(ArtifactError, match="NUL"):
        load(folder)


@pytest.mark.parametrize("value", ["1e999", '"\\ud800"'])
def test_what_postgres_takes_in_no_json_is_refused_in_metrics(folder: Path, value: str) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"hamming": 0.5', f'"hamming": {value}'))
    with pytest.raises(ArtifactError, match=r"manifest\.json: not JSON"):
        load(folder)


def test_of_a_ring_of_parents_a_tag_in_it_is_named(folder: Path) -> None:
    def ring(manifest: Manifest) -> None:
        manifest["vocabulary"] += ["hubs"]
        manifest["thresholds"] += [0.5]
        manifest["parents"] = {"cables": "headphones", "headphones": "hubs", "hubs": "headphones"}

    _rewrite(folder, ring)
    with pytest.raises(ArtifactError, match="tag 'headphones' is its own ancestor"):
        load(folder)
