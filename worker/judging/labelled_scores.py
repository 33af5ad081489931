"""A data set's photos through the model that serves: scores beside the truth."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shared.errors import DatasetError
from shared.settings import Settings
from worker.dataset.labelled import Dataset, LabelledPhoto, truth_of
from worker.dataset.split import split
from worker.dataset.store import pixel_store
from worker.model.artifact import Artifact
from worker.model.tagger import Tagger

PartOrAll = Literal["train", "validation", "test", "all"]

#: Pixels held at a time, whatever the size of the data set.
CHUNK_BYTES = 128 << 20
MAX_CHUNK_PHOTOS = 1024
_SETS_NAMED = 10
MAX_PHOTO_PIXELS: int = Settings.model_fields["max_photo_pixels"].default
MIN_PHOTO_ELEMENTS: int = Settings.model_fields["min_photo_elements"].default


@dataclass(frozen=True, slots=True)
class Chosen:
    """The photos that are to be judged, and those that are judged apart."""

    judged: Dataset
    left_out: Dataset | None


@dataclass(frozen=True, slots=True)
class LabelledScores:
    """Photos with their scores and their truth, row by row."""

    dataset: Dataset  #: the readable photos
    scores: NDArray[np.float32]  #: `[n, tags]`, NaN where the model failed
    truth: NDArray[np.bool_]  #: `[n, tags]`, over the model's vocabulary
    rejected: Counter[str]  #: unreadable photos, by what is wrong with them
    complaints: tuple[str, ...]  #: the first of each kind


def choose(dataset: Dataset, part: PartOrAll, seed: int, leave_out: Collection[str]) -> Chosen:
    """The photos of one part of the split, and apart from them those of the sets left out.

    The parts are those that a training with this seed makes.

    Raises:
        DatasetError: a set to leave out is not there, or nothing is left to judge.
    """
    sets = {photo.set_name for photo in dataset.photos}
    if unknown := set(leave_out) - sets:
        some = ", ".join(sorted(sets)[:_SETS_NAMED])
        raise DatasetError(
            f"no such set to leave out: {', '.join(sorted(unknown))}; among its sets are {some}"
        )
    # Of all rows, as the training splits them: leaving a set out moves no other photo.
    parts = split(dataset.photos, seed, dataset.near_duplicates)
    apart = [photo for photo in dataset.photos if photo.set_name in leave_out]
    judged = [
        photo
        for photo, its_part in zip(dataset.photos, parts, strict=True)
        if photo.set_name not in leave_out and part in {"all", its_part}
    ]
    if not judged:
        raise DatasetError(f"no photo is left to judge in the part {part!r}")
    return Chosen(
        replace(dataset, photos=tuple(judged)),
        replace(dataset, photos=tuple(apart)) if apart else None,
    )


def score(
    dataset: Dataset, artifact: Artifact, *, on_progress: Callable[[int], None] | None = None
) -> LabelledScores:
    """Decodes and scores photos as the worker does, a bounded number at a time.

    Label tags that the model does not know are left out of the truth.

    Args:
        dataset: rows.
        artifact: the model.
        on_progress: called with the number of photos done, after each chunk.

    Raises:
        DatasetError: no photo is readable.
        ArtifactError: the model cannot be used.
    """
    tagger = Tagger(artifact)
    size = artifact.manifest.input
    step = max(1, min(MAX_CHUNK_PHOTOS, CHUNK_BYTES // (size.height * size.width * 3)))
    kept: list[LabelledPhoto] = []
    scores: list[NDArray[np.float32]] = []
    rejected: Counter[str] = Counter()
    complaints: tuple[str, ...] = ()
    for start in range(0, len(dataset.photos), step):
        chunk = dataset.photos[start : start + step]
        try:
            readable, pixels = pixel_store(
                replace(dataset, photos=chunk, rejected=rejected, complaints=complaints),
                None,
                height=size.height,
                width=size.width,
                max_photo_pixels=MAX_PHOTO_PIXELS,
                min_photo_elements=MIN_PHOTO_ELEMENTS,
                preprocessing=artifact.manifest.preprocessing,
            )
        except DatasetError as error:
            # Not one photo of the chunk; others may have some.
            rejected["unreadable"] += len(chunk)
            complaints += (error.detail,)
        else:
            rejected, complaints = readable.rejected, readable.complaints
            kept += readable.photos
            scores.append(tagger.scores(pixels))
        if on_progress is not None:
            on_progress(min(start + step, len(dataset.photos)))
    if not kept:
        raise DatasetError("; ".join(complaints))
    return LabelledScores(
        dataset=replace(dataset, photos=tuple(kept)),
        scores=np.concatenate(scores),
        truth=truth_of(_with_known_tags(kept, artifact.vocabulary), artifact.vocabulary) > 0,
        rejected=rejected,
        complaints=complaints,
    )


def _with_known_tags(
    photos: Collection[LabelledPhoto], vocabulary: Collection[str]
) -> list[LabelledPhoto]:
    known = set(vocabulary)
    return [
        photo
        if known.issuperset(photo.tags)
        else photo.model_copy(update={"tags": [tag for tag in photo.tags if tag in known]})
        for photo in photos
    ]
