"""What a report is about: the model, the data, what was left aside, and whether that flatters."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from worker.dataset.labelled import Dataset
from worker.judging.labelled_scores import LabelledScores, PartOrAll
from worker.model.artifact import Artifact


def model_facts(artifact: Artifact) -> dict[str, Any]:
    """Which model was judged."""
    manifest = artifact.manifest
    return {
        "version": artifact.version,
        "created_at": manifest.created_at.isoformat(),
        "input": f"{manifest.input.height}x{manifest.input.width}",
        "bytes": len(artifact.model),
        "dataset_sha256": manifest.provenance.dataset_sha256,
    }


def data_facts(
    dataset: Dataset,
    found: Sequence[LabelledScores],
    artifact: Artifact,
    *,
    part: PartOrAll,
    seed: int,
    leave_out: Collection[str],
) -> dict[str, Any]:
    """What the model was judged on, and all that was not judged.

    Args:
        dataset: all rows that were read.
        found: the photos that were judged, with those judged apart.
        artifact: the model.
        part, seed: which part of the split by which seed was judged.
        leave_out: the sets that were judged apart.
    """
    known = set(artifact.vocabulary)
    judged = [photo for part_found in found for photo in part_found.dataset.photos]
    tags = Counter(tag for photo in judged for tag in set(photo.tags))
    sha256 = dataset.sha256
    complaints = dict.fromkeys(words for part_found in found for words in part_found.complaints)
    unreadable = sum((part_found.rejected for part_found in found), Counter[str]())
    return {
        # Only the name: where the folder lies on one machine helps nobody on another.
        # A name that is not UTF-8 would end the report when it is written.
        "folder": dataset.folder.resolve().name.encode(errors="replace").decode(),
        "part": part,
        "seed": seed,
        "leave_out": sorted(leave_out),
        "photos_in_labels": len(dataset.photos),
        "rejected_rows": dict(dataset.rejected),
        "unreadable_photos": dict(unreadable),
        "complaints": [*dataset.complaints, *complaints],
        "unknown_tags": {tag: tags[tag] for tag in sorted(tags.keys() - known)},
        "photos_with_unknown_tags": sum(not known.issuperset(photo.tags) for photo in judged),
        "tags_without_photos": [tag for tag in artifact.vocabulary if not tags[tag]],
        "sha256": sha256,
        "trained_on": sha256 == artifact.manifest.provenance.dataset_sha256,
        "warning": _warning(sha256, artifact, part, seed),
    }


def _warning(sha256: str, artifact: Artifact, part: PartOrAll, seed: int) -> str:
    provenance = artifact.manifest.provenance
    if sha256 != provenance.dataset_sha256:
        return (
            "Data used in training flatters. The model was trained on another data set, by its "
            "hash; photos that are in both still flatter."
        )
    trained = provenance.recipe.get("seed", "unknown")
    return (
        "Data used in training flatters, and the model was trained on this data set: only the test "
        f"part of its split (seed {trained}) and the sets it left out are unseen. Judged here: "
        f"part {part}, seed {seed}."
    )
