"""Judging a model artifact on a labelled data set, and writing down what was found."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import SetupError
from worker.dataset.labelled import Dataset, read_dataset
from worker.dataset.store import pixel_store
from worker.judging import plots
from worker.judging.labelled_scores import (
    MAX_PHOTO_PIXELS,
    MIN_PHOTO_ELEMENTS,
    LabelledScores,
    PartOrAll,
    choose,
    score,
)
from worker.judging.markdown import markdown
from worker.judging.mistakes import Mistake, worst_mistakes
from worker.judging.provenance import data_facts, model_facts
from worker.judging.report import judge
from worker.model.artifact import Artifact, load

REPORT, PAGE = "report.json", "report.md"
MISTAKES = 30
_UNFINISHED = f".{REPORT}"
_THUMBNAIL = 160  # pixels


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be judged on what."""

    model: Path  #: folder of the artifact
    data: Path  #: folder of the data set
    part: PartOrAll = "all"
    leave_out: Collection[str] = ()  #: sets that are judged apart
    bootstrap: int = 1000  #: resamples for the intervals; 0 for none
    seed: int = 0  #: of the split and of the resamples


def evaluate(
    request: Request, out: Path, *, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Judges a model as it serves and writes the report into the folder `out`.

    `report.json` comes last, so where it stands the rest is whole.

    Args:
        request: what to judge.
        out: gets `report.json`, `report.md` and the plots; what of them is there is replaced.
        on_progress: called with the number of photos scored and of all.

    Returns:
        The content of `report.json`: what `judge` gives, `model`, `data`, `worst_mistakes` and,
        for the sets that are judged apart, what `judge` gives as `left_out`.

    Raises:
        ArtifactError: the model is refused.
        DatasetError: nothing usable in the data set, or nothing left to judge.
        SetupError: the folder cannot be written.
    """
    artifact = load(request.model)
    dataset = read_dataset(request.data)
    chosen = choose(dataset, request.part, request.seed, request.leave_out)
    parts = [part for part in (chosen.judged, chosen.left_out) if part is not None]
    photos = sum(len(part.photos) for part in parts)
    _writable(out)

    def scored(part: Dataset, done: int) -> LabelledScores:
        def show(count: int) -> None:
            if on_progress is not None:
                on_progress(done + count, photos)

        return score(part, artifact, on_progress=show)

    found = scored(chosen.judged, 0)
    apart = chosen.left_out and scored(chosen.left_out, len(chosen.judged.photos))
    measured = _judged(found, artifact, request)
    mistakes = worst_mistakes(
        found.scores,
        found.truth,
        artifact.thresholds,
        artifact.vocabulary,
        [photo.product for photo in found.dataset.photos],
        limit=MISTAKES,
    )
    report: dict[str, Any] = {
        "model": model_facts(artifact),
        "data": data_facts(
            dataset,
            [found, apart] if apart else [found],
            artifact,
            part=request.part,
            seed=request.seed,
            leave_out=request.leave_out,
        ),
        **measured,
        "worst_mistakes": [_described(mistake, found) for mistake in mistakes],
    }
    if apart:
        report["left_out"] = _judged(apart, artifact, request)
    _write(out, report, _pictures(found, artifact, measured, mistakes))
    return report


def _judged(found: LabelledScores, artifact: Artifact, request: Request) -> dict[str, Any]:
    photos = found.dataset.photos
    return judge(
        found.scores,
        found.truth,
        artifact.thresholds,
        artifact.vocabulary,
        products=[photo.product for photo in photos],
        sources=[photo.source for photo in photos],
        sets=[photo.set_name for photo in photos],
        bootstrap=request.bootstrap,
        seed=request.seed,
    )


def _described(mistake: Mistake, found: LabelledScores) -> dict[str, Any]:
    photo = found.dataset.photos[mistake.row]
    return {
        "photo": photo.photo,
        "product": photo.product,
        "set": photo.set_name,
        "loss": mistake.loss,
        "right": mistake.right,
        "missed": mistake.missed,
        "wrong": mistake.wrong,
    }


def _pictures(
    found: LabelledScores,
    artifact: Artifact,
    measured: Mapping[str, Any],
    mistakes: Sequence[Mistake],
) -> dict[str, bytes]:
    by_tag = measured["by_tag"]
    return {
        "by_tag.png": plots.tags_plot(by_tag),
        "pr_curves.png": plots.pr_curves(found.scores, found.truth, artifact.vocabulary, by_tag),
        "thresholds.png": plots.thresholds_plot(measured["threshold_curve"], measured["overall"]),
        "calibration.png": plots.calibration_plot(measured["calibration"]),
        "mistakes.png": _contact_sheet(found, mistakes),
    }


def _contact_sheet(found: LabelledScores, mistakes: Sequence[Mistake]) -> bytes:
    if not mistakes:
        return plots.contact_sheet([], np.empty((0, _THUMBNAIL, _THUMBNAIL, 3), np.uint8))
    shown = tuple(found.dataset.photos[mistake.row] for mistake in mistakes)
    readable, pixels = pixel_store(
        replace(found.dataset, photos=shown),
        None,
        height=_THUMBNAIL,
        width=_THUMBNAIL,
        max_photo_pixels=MAX_PHOTO_PIXELS,
        min_photo_elements=MIN_PHOTO_ELEMENTS,
    )
    # A photo may have gone since it was scored.
    kept = {photo.photo for photo in readable.photos}
    left = [mistake for mistake, photo in zip(mistakes, shown, strict=True) if photo.photo in kept]
    return plots.contact_sheet(left, pixels)


def _writable(out: Path) -> None:
    # Now, and not after minutes of decoding.
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / REPORT).unlink(missing_ok=True)
        (out / _UNFINISHED).touch()
        (out / _UNFINISHED).unlink()
    except OSError as error:
        raise SetupError(f"{out}: {error.strerror or error}") from None


def _write(out: Path, report: Mapping[str, Any], pictures: Mapping[str, bytes]) -> None:
    unfinished = out / _UNFINISHED
    try:
        for name, picture in pictures.items():
            (out / name).write_bytes(picture)
        (out / PAGE).write_text(markdown(report), encoding="utf-8")
        unfinished.write_text(
            json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )
        unfinished.replace(out / REPORT)
    except OSError as error:
        raise SetupError(f"{out}: {error.strerror or error}") from None
