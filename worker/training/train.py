"""From a folder of labelled photos to a model artifact."""

import shlex
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from shared.domain.thresholds import fit_single
from shared.settings import Settings
from worker.decode.pixels import PREPROCESSING
from worker.model.artifact import Artifact, Draft, write
from worker.model.manifest import InputSize, Provenance
from worker.model.tagger import Tagger
from worker.training.card import CardFacts, model_card
from worker.training.catalogue import parents_of, related_of
from worker.training.export import Candidate, export, keras_scores
from worker.training.fit import Labelled, Progress, Recipe, fingerprint_of, fit
from worker.training.prepare import Part, Prepared, prepare

NAME = "vanilla"
HEIGHT, WIDTH = 35, 35
MAX_PHOTO_PIXELS: int = Settings.model_fields["max_photo_pixels"].default
MIN_PHOTO_ELEMENTS: int = Settings.model_fields["min_photo_elements"].default


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training made."""

    artifact: Artifact
    weights: str  #: "int8" or "float32"
    threshold: float
    best_epoch: int
    rejected: dict[str, int]  #: unusable rows and photos, by kind
    complaints: tuple[str, ...]  #: the first of each kind, in words


def train(
    data: Path,
    out: Path,
    *,
    epochs: int,
    seed: int = 0,
    leave_out: Collection[str] = (),
    work: Path | None = None,
    max_photo_pixels: int = MAX_PHOTO_PIXELS,
    min_photo_elements: int = MIN_PHOTO_ELEMENTS,
    on_progress: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Prepares, fits, chooses the threshold, exports, measures and writes the artifact.

    Args:
        data: folder with `labels.jsonl.gz` and the photos it names.
        out: folder of the artifact; one that lies there is replaced at the very end.
        epochs: how many in all, those before a restart included.
        seed: decides the split, the first weights, the order and the augmentation.
        leave_out: sets that are kept out of training, validation and test, and judged apart.
        work: where the checkpoint lies, from which a killed training goes on. Left out: beside
            `out`, and removed once the artifact stands.
        max_photo_pixels: photos with more are left out, as in service.
        min_photo_elements: photos with fewer (height x width x 3) are left out, as in service.
        on_progress: called after every epoch; what it raises ends the training.

    Raises:
        DatasetError: nothing usable in the data set, or too little for a split.
        ArtifactError: the artifact cannot be written.
    """
    prepared = prepare(
        data,
        height=HEIGHT,
        width=WIDTH,
        seed=seed,
        leave_out=leave_out,
        max_photo_pixels=max_photo_pixels,
        min_photo_elements=min_photo_elements,
    )
    recipe = Recipe(seed=seed, epochs=epochs)
    sha256 = prepared.dataset.sha256
    checkpoints = work or out.with_name(f".{out.name}.training")
    network, best_epoch = fit(
        _labelled(prepared.train),
        _labelled(prepared.validation),
        recipe=recipe,
        checkpoint=checkpoints / "fit.npz",
        fingerprint=fingerprint_of(sha256, PREPROCESSING, recipe, sorted(leave_out)),
        on_progress=on_progress or _silent,
    )
    truth = prepared.validation.truth > 0
    threshold = fit_single(keras_scores(network, prepared.validation.pixels), truth)
    chosen, candidates = export(network, prepared.validation.pixels, truth, threshold)
    described = {
        **_described(recipe, chosen, candidates),
        "best_epoch": best_epoch,
        "left_out_sets": sorted(leave_out),
    }
    measured = _measured(prepared, chosen, threshold)
    draft = _draft(prepared, chosen, threshold, measured=measured, described=described)
    facts = CardFacts(
        photos=prepared.dataset.photos,
        train=prepared.train.photos,
        rejected=prepared.dataset.rejected,
        dataset_sha256=sha256,
        tags=prepared.tags,
        measured=measured,
        threshold=threshold,
        recipe=described,
        command=_command(data, out, epochs, seed, leave_out),
    )
    artifact = write(out, draft, model_card(facts))
    if work is None:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return TrainResult(
        artifact=artifact,
        weights=chosen.weights,
        threshold=threshold,
        best_epoch=best_epoch,
        rejected=dict(prepared.dataset.rejected),
        complaints=prepared.dataset.complaints,
    )


def _measured(prepared: Prepared, chosen: Candidate, threshold: float) -> dict[str, Any]:
    tagger = Tagger.of_model(chosen.model, height=HEIGHT, width=WIDTH, tags=len(prepared.tags))
    parts = {
        "validation": prepared.validation,
        "test": prepared.test,
        "left_out": prepared.left_out,
    }
    return {
        name: part.judge(tagger, threshold, prepared.tags)
        for name, part in parts.items()
        if part is not None
    }


def _draft(
    prepared: Prepared,
    chosen: Candidate,
    threshold: float,
    *,
    measured: dict[str, Any],
    described: dict[str, Any],
) -> Draft:
    photos = prepared.train.photos
    related_names, related_matrix = related_of(photos)
    return Draft(
        name=NAME,
        model=chosen.model,
        input=InputSize(height=HEIGHT, width=WIDTH),
        preprocessing=PREPROCESSING,
        vocabulary=prepared.tags,
        thresholds=[threshold] * len(prepared.tags),
        parents=parents_of(photos, prepared.tags),
        related_names=related_names,
        related_matrix=related_matrix,
        metrics=measured,
        provenance=Provenance(
            dataset_sha256=prepared.dataset.sha256,
            photos=len(prepared.dataset.photos),
            products=len({photo.product for photo in prepared.dataset.photos}),
            recipe=described,
        ),
    )


def _described(
    recipe: Recipe, chosen: Candidate, candidates: Sequence[Candidate]
) -> dict[str, Any]:
    return {
        "network": "vanilla_cnn",
        "input": f"{HEIGHT}x{WIDTH}",
        "optimizer": "Adam",
        "loss": "binary cross-entropy",
        **asdict(recipe),
        "weights": chosen.weights,
        "largest_score_difference_to_keras": {
            candidate.weights: round(candidate.max_score_difference, 6) for candidate in candidates
        },
        "validation_hamming": {
            candidate.weights: round(candidate.hamming, 4) for candidate in candidates
        },
        "keras": keras.__version__,
    }


def _command(data: Path, out: Path, epochs: int, seed: int, leave_out: Collection[str]) -> str:
    # Only the last part of a path: where it lay on one machine helps nobody on another.
    words = ["tagger", "train", "--data", data.name, "--out", out.name]
    words += ["--epochs", str(epochs), "--seed", str(seed)]
    for name in sorted(leave_out):
        words += ["--leave-out", name]
    return shlex.join(words)


def _labelled(part: Part) -> Labelled:
    return Labelled(part.pixels, part.truth)


def _silent(_: Progress) -> None:
    pass
