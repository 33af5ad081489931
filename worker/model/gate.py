"""The gate of a promotion: candidate and champion, as served, on the same held-out photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from shared.domain.decision import Decision
from shared.errors import DatasetError, PromotionRefused
from shared.extras import needing_extra
from shared.settings import PhotoLimits
from worker.dataset.labelled import Dataset, LabelledPhoto, read_dataset
from worker.dataset.split import image_split, split
from worker.dataset.store import pixel_store
from worker.model.artifact import Artifact
from worker.model.tagger import Tagger

#: A candidate may be worse by this much in either measure.
MARGIN = 0.005
_MEASURES = ("hamming", "map")


@dataclass(frozen=True, slots=True)
class Contender:
    """A model with the decision by which it serves, or would."""

    artifact: Artifact
    decision: Decision

    @property
    def version(self) -> str:
        """Its name in the tables."""
        return self.artifact.version


def measured_on(
    data: Path, candidate: Contender, champion: Contender, limits: PhotoLimits
) -> dict[str, Any]:
    """Both models' measures on those photos of a data set that neither was trained on.

    A model that was trained on this data set (by its hash) was tested on one part of it; what
    is in the test part, or in a set left out, for each of them is used. Of any other data set
    all photos are. Both are judged over the tags that both know.

    Raises:
        DatasetError: the data set has no such photos.
        SetupError: scikit-learn is missing.
    """
    dataset = read_dataset(data)
    held_out = _held_out(dataset, [candidate.artifact, champion.artifact])
    photos = [photo for photo, is_in in zip(dataset.photos, held_out, strict=True) if is_in]
    common = set(champion.artifact.vocabulary).intersection(dataset.tags)
    tags = [tag for tag in candidate.artifact.vocabulary if tag in common]
    if not photos or not tags:
        raise DatasetError("no held-out photo, or no tag that both models and the labels know")
    some = replace(dataset, photos=tuple(photos))
    seen = {who.version: _scores(who, some, limits) for who in (candidate, champion)}
    one, other = seen.values()
    readable = [photo for photo in photos if photo.photo in one.keys() & other.keys()]
    return {
        "data": str(data),
        "dataset_sha256": dataset.sha256,
        "held_out": len(photos) < len(dataset.photos),
        "photos": len(readable),
        "unreadable": len(photos) - len(readable),
        "tags": tags,
        "candidate": _judge(candidate, readable, tags, seen[candidate.version]),
        "champion": _judge(champion, readable, tags, seen[champion.version]),
    }


def recorded(candidate: Row[Any], champion: Row[Any]) -> dict[str, Any]:
    """Both models' measures as their trainings recorded them, if they can be compared.

    Raises:
        PromotionRefused: they were not measured on the same part of the same data set.
    """
    for name in ("seed", "split", "left_out_sets"):
        if candidate.recipe.get(name) != champion.recipe.get(name):
            raise PromotionRefused(f"it was tested with another {name} than the champion; {_HINT}")
    if candidate.dataset_sha256 != champion.dataset_sha256:
        raise PromotionRefused(f"it was tested on another data set than the champion; {_HINT}")
    new, old = test_measures(candidate.metrics), test_measures(champion.metrics)
    if new["hamming"] is None or old["hamming"] is None:
        raise PromotionRefused(f"one of the two has no record of its test; {_HINT}")
    return {
        "recorded": True,
        "dataset_sha256": candidate.dataset_sha256,
        "candidate": new,
        "champion": old,
    }


_HINT = "measure both on the same photos with --data, or --force it"


def refusal(numbers: Mapping[str, Any], margin: float) -> str | None:
    """Why the gate stays shut, in words; None where it opens."""
    for name in _MEASURES:
        new, old = numbers["candidate"].get(name), numbers["champion"].get(name)
        if old is None:
            continue  # too few photos of every tag
        if new is None:
            return f"its {name} is not known; {_HINT}"
        if new < old - margin:
            return f"{name} {new:.4f}, the champion has {old:.4f}; margin {margin}"
    return None


def test_measures(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Hamming score, mAP and macro F1 of a model's test part, as its manifest has them."""
    test = entries(metrics, "test")
    overall = entries(test, "overall") or test
    return {
        "hamming": number(overall.get("hamming")),
        "map": number(overall.get("map", overall.get("mean_average_precision"))),
        "macro_f1": number(overall.get("macro_f1")),
    }


def entries(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The entries under a name; none where a manifest, whose word this is, has no mapping."""
    found = record.get(name)
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def number(value: object) -> float | None:
    """A number that a manifest gives; None where it gives something else."""
    if isinstance(value, bool) or not isinstance(value, float | int):
        return None
    return value


def _held_out(dataset: Dataset, artifacts: Sequence[Artifact]) -> NDArray[np.bool_]:
    held_out = np.ones(len(dataset.photos), bool)
    for artifact in artifacts:
        provenance = artifact.manifest.provenance
        if provenance.dataset_sha256 != dataset.sha256:
            continue
        recipe = provenance.recipe
        parts = _parts(dataset, recipe)
        left_out = recipe.get("left_out_sets")
        sets = cast("list[object]", left_out) if isinstance(left_out, list) else []
        held_out &= np.array(
            [
                part == "test" or photo.set_name in sets
                for part, photo in zip(parts, dataset.photos, strict=True)
            ]
        )
    return held_out


def _parts(dataset: Dataset, recipe: Mapping[str, Any]) -> Sequence[str]:
    match recipe.get("split"), recipe.get("seed") or 0:
        case "product", int(seed):
            return split(dataset.photos, seed, dataset.near_duplicates)
        case "image", int(seed):
            return image_split(dataset.photos, seed)
        case _:  # it does not say how: it may have been trained on any photo
            return ["train"] * len(dataset.photos)


def _scores(who: Contender, dataset: Dataset, limits: PhotoLimits) -> dict[str, NDArray[Any]]:
    """The scores [tags of the model] of each readable photo."""
    size = who.artifact.manifest.input
    readable, pixels = pixel_store(
        dataset,
        None,
        height=size.height,
        width=size.width,
        max_photo_pixels=limits.max_photo_pixels,
        min_photo_elements=limits.min_photo_elements,
        preprocessing=who.artifact.manifest.preprocessing,
    )
    scores = Tagger(who.artifact).scores(pixels)
    return {photo.photo: row for photo, row in zip(readable.photos, scores, strict=True)}


def _judge(
    who: Contender,
    photos: Sequence[LabelledPhoto],
    tags: Sequence[str],
    seen: Mapping[str, NDArray[np.float32]],
) -> dict[str, Any]:
    with needing_extra("train"):
        from worker.judging.report import judge  # noqa: PLC0415
    columns = [who.decision.vocabulary.index(tag) for tag in tags]
    overall = judge(
        np.stack([seen[photo.photo] for photo in photos])[:, columns],
        np.array([[tag in photo.tags for tag in tags] for photo in photos]),
        who.decision.thresholds[columns],
        tags,
        products=[photo.product for photo in photos],
        sources=[photo.source for photo in photos],
        sets=[photo.set_name for photo in photos],
    )["overall"]
    return {name: overall.get(name) for name in (*_MEASURES, "macro_f1", "exact_match")}
