"""From a folder of labelled photos to a model artifact, by a recipe."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import shlex
import shutil
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from shared.domain.related import RelatedTags
from shared.domain.spam import SpamJudge
from shared.domain.thresholds import FittedThresholds, fit_for_hamming, fit_single
from shared.settings import Settings
from worker.dataset.catalogue import parents_of, related_of
from worker.judging.report import judge
from worker.judging.spam import products_of
from worker.model.artifact import Artifact, Draft, write
from worker.model.manifest import SERVED, InputSize, Provenance
from worker.model.tagger import Tagger
from worker.training import spam
from worker.training.balance import with_untagged
from worker.training.card import CardFacts, model_card
from worker.training.cluster import join, precision
from worker.training.export import Exported, export
from worker.training.fit import Progress
from worker.training.learn import learn
from worker.training.prepare import Limits, Prepared, Rows, prepare
from worker.training.recipes import Recipe, recipe_of
from worker.training.trainer import Files, Learned, Trainer

LIMITS = Limits(
    max_photo_pixels=Settings.model_fields["max_photo_pixels"].default,
    min_photo_elements=Settings.model_fields["min_photo_elements"].default,
)
#: Resamples for the intervals of what is measured.
BOOTSTRAP = 1000


@dataclass(frozen=True, slots=True)
class Order:
    """What to train, on what, and where to."""

    data: Path  #: labels with photos, or downloaded shards
    out: Path  #: folder of the artifact; one that lies there is replaced at the very end
    recipe: Recipe
    seed: int = 0  #: decides the split, the first weights, the order and the augmentation
    leave_out: Collection[str] = ()  #: sets kept out of all parts and judged apart
    backbone: Path | None = None  #: a headless Keras file
    backbone_sha256: str | None = None  #: what its hash must be
    weights: Path | None = None  #: of the paper's ImageNet networks
    #: Where pixels, views and checkpoints lie, from which a killed training goes on. Left out:
    #: beside `out`, and removed once the artifact stands.
    work: Path | None = None
    limits: Limits = field(default_factory=lambda: LIMITS)


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training made."""

    artifact: Artifact
    measured: dict[str, Any]  #: part -> what `worker.judging.report.judge` found
    rejected: dict[str, int]  #: unusable rows and photos, by kind
    complaints: tuple[str, ...]  #: the first of each kind, in words


def train(
    order: Order, on_progress: Callable[[str, Progress | None], None] | None = None
) -> TrainResult | None:
    """Prepares, fits, exports, chooses thresholds, measures and writes the artifact.

    Processes that train together (see `worker.training.cluster`) share the fit; the rest is the
    first one's.

    Args:
        order: what is wanted.
        on_progress: called with each stage, and in a fit after every epoch; what it raises ends
            the training, which goes on from there when it is started again.

    Returns:
        What was made; None in a process that only helped.

    Raises:
        DatasetError: nothing usable in the data set, or too little for a split.
        SetupError: a file that the recipe needs is missing or refused.
        TrainingDiverged: the loss is not a number any more.
        ClusterLost: a process that trained along is gone.
        ArtifactError: the artifact cannot be written.
    """
    show = on_progress or _silent
    cluster = join()
    recipe = order.recipe
    work = order.work or order.out.with_name(f".{order.out.name}.training")
    show("reading photos", None)
    files = Files(work, order.backbone, order.weights, order.backbone_sha256)
    with cluster.held_together():
        prepared = cluster.in_turn(
            lambda: prepare(
                order.data,
                work,
                side=recipe.side,
                seed=order.seed,
                limits=order.limits,
                leave_out=order.leave_out,
                by=recipe.split,
                preprocessing=recipe.preprocessing,
            )
        )
        trainer = Trainer(prepared, files, order.seed, order.limits, cluster, show)
        learned = learn(recipe, trainer)
    if not cluster.chief:
        return None
    show("exporting", None)
    exported = _export(learned, prepared)
    tagger = _tagger(exported, recipe, prepared)
    scores = tagger.scores(prepared.pixels[prepared.validation])
    thresholds = _thresholds(scores, prepared.truth[prepared.validation] > 0, recipe)
    show("judging", None)
    measured = _measured(tagger, prepared, thresholds.values)
    described = _described(order, learned, exported, thresholds, cluster.size)
    draft = _draft(prepared, recipe, exported, thresholds, measured=measured, described=described)
    draft = replace(draft, spam=_spam_judge(draft, prepared, scores, order.seed))
    facts = CardFacts(
        photos=prepared.dataset.photos,
        train=prepared.photos(prepared.train),
        rejected=prepared.dataset.rejected,
        dataset_sha256=prepared.sha256,
        tags=prepared.tags,
        measured=measured,
        recipe=described,
        command=_command(order),
    )
    show("writing", None)  # what was lost to another worker meanwhile must not replace its model
    artifact = write(order.out, draft, model_card(facts))
    if order.work is None:
        shutil.rmtree(work, ignore_errors=True)
    return TrainResult(
        artifact,
        measured,
        dict(prepared.dataset.rejected),
        prepared.dataset.complaints,
    )


def _export(learned: Learned, prepared: Prepared) -> Exported:
    pixels = prepared.pixels[prepared.validation]
    truth = prepared.truth[prepared.validation] > 0
    typical = prepared.train[:: max(1, len(prepared.train) // 2000)]
    return export(
        learned.network,
        pixels,
        truth,
        # Not those that will serve: fitted for other photos, they tell the forms apart by chance.
        lambda scores: fit_for_hamming(scores, truth).values,
        typical=prepared.pixels[typical],
    )


def _thresholds(
    scores: NDArray[np.float32], truth: NDArray[np.bool_], recipe: Recipe
) -> FittedThresholds:
    """On validation photos alone, by the scores that will be served."""
    if recipe.thresholds == "hamming":
        rows = with_untagged(truth)
        return fit_for_hamming(scores[rows], truth[rows])
    common = fit_single(scores, truth)
    return FittedThresholds(np.full(truth.shape[1], common, np.float32), common, (), ())


def _tagger(exported: Exported, recipe: Recipe, prepared: Prepared) -> Tagger:
    return Tagger.of_model(
        exported.chosen.model, height=recipe.side, width=recipe.side, tags=len(prepared.tags)
    )


def _measured(
    tagger: Tagger, prepared: Prepared, thresholds: NDArray[np.float32]
) -> dict[str, Any]:
    def judged(rows: Rows) -> dict[str, Any]:
        photos = prepared.photos(rows)
        found = judge(
            tagger.scores(prepared.pixels[rows]),
            prepared.truth[rows] > 0,
            thresholds,
            prepared.tags,
            products=[photo.product for photo in photos],
            sources=[photo.source for photo in photos],
            sets=[photo.set_name for photo in photos],
            bootstrap=BOOTSTRAP,
        )
        # The same again under other names, and curves for plots: not for a manifest.
        return {
            name: part
            for name, part in found.items()
            if name not in {"source", "set", "threshold_curve", "calibration"}
        }

    parts = {
        "validation": prepared.validation,
        "test": prepared.test,
        "left_out": prepared.left_out,
    }
    return {name: judged(rows) for name, rows in parts.items() if len(rows)}


def _draft(
    prepared: Prepared,
    recipe: Recipe,
    exported: Exported,
    thresholds: FittedThresholds,
    *,
    measured: dict[str, Any],
    described: dict[str, Any],
) -> Draft:
    photos = prepared.photos(prepared.train)
    names, matrix = related_of(photos, minimum_support=SERVED.minimum_support)
    return Draft(
        name=recipe.name.replace("-", "_"),
        model=exported.chosen.model,
        input=InputSize(height=recipe.side, width=recipe.side),
        preprocessing=recipe.preprocessing,
        vocabulary=prepared.tags,
        thresholds=[round(float(value), 6) for value in thresholds.values],
        parents=parents_of(photos, prepared.tags),
        related=SERVED,
        related_names=names,
        related_matrix=matrix,
        metrics=measured,
        provenance=Provenance(
            dataset_sha256=prepared.sha256,
            photos=len(prepared.dataset.photos),
            products=len({photo.product for photo in prepared.dataset.photos}),
            recipe=described,
        ),
    )


def _spam_judge(
    draft: Draft, prepared: Prepared, scores: NDArray[np.float32], seed: int
) -> SpamJudge | None:
    """By the scores of the validation photos; None where too few products say what they are."""
    return spam.fit(
        products_of(prepared.photos(prepared.validation), scores),
        draft.vocabulary,
        np.array(draft.thresholds, np.float32),
        draft.parents,
        RelatedTags(draft.related_names, draft.related_matrix),
        seed=seed,
    )


def _described(
    order: Order,
    learned: Learned,
    exported: Exported,
    thresholds: FittedThresholds,
    processes: int,
) -> dict[str, Any]:
    """Everything needed to repeat the training, and what came of its choices."""
    return {
        **asdict(order.recipe),
        "seed": order.seed,
        "precision": precision(),
        "processes": processes,
        "left_out_sets": sorted(order.leave_out),
        **learned.described,
        "best_epoch": learned.fitted.best_epoch,
        "epochs_taken": learned.fitted.epochs,
        "parameters": learned.network.count_params(),
        "common_threshold": thresholds.common,
        "weights": exported.chosen.weights,
        "validation_keras": {
            "hamming": round(exported.keras_hamming, 4),
            "map": round(exported.keras_mean_average_precision, 4),
        },
        "validation_exported": {
            candidate.weights: {
                "hamming": round(candidate.hamming, 4),
                "map": round(candidate.mean_average_precision, 4),
                "largest_score_difference": round(candidate.max_score_difference, 6),
                "photos_decided_otherwise": round(candidate.flipped, 4),
                "us_per_photo": round(candidate.us_per_photo, 1),
                "bytes": len(candidate.model),
            }
            for candidate in exported.candidates
        },
        "keras": keras.__version__,
    }


def _command(order: Order) -> str:
    # Only the last part of a path: where it lay on one machine helps nobody on another.
    words = ["tagger", "train", "--recipe", order.recipe.name]
    words += ["--data", order.data.name, "--out", order.out.name, "--seed", str(order.seed)]
    faithful = order.recipe.split == "image"
    if faithful:
        words.append("--paper-faithful")
    epochs = order.recipe.schedule.epochs
    if epochs != recipe_of(order.recipe.name, paper_faithful=faithful).schedule.epochs:
        words += ["--epochs", str(epochs)]
    if order.backbone is not None:
        words += ["--backbone", order.backbone.name]
    if order.weights is not None:
        words += ["--weights", order.weights.name]
    for name in sorted(order.leave_out):
        words += ["--leave-out", name]
    return shlex.join(words)


def _silent(_: str, __: Progress | None) -> None:
    pass
