"""Products of one part of a data set: where they are filed, and what the model sees on photos."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import DatasetError
from worker.dataset.catalogue import tags_by_product
from worker.dataset.labelled import LabelledPhoto, Part, read_dataset
from worker.judging.labelled_scores import choose, score
from worker.judging.provenance import data_facts
from worker.model.artifact import Artifact

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Products:
    """What becomes listings, and the rest of the data set."""

    filed: Mapping[str, frozenset[str]]  #: product -> its labels and path segments; sorted
    scores: Mapping[str, Mapping[str, Scores]]  #: product -> photo -> float32 `[tags]`
    others: Sequence[LabelledPhoto]  #: the photos of the other parts
    unreadable: int  #: photos; their products are listings all the same
    data: Mapping[str, Any]  #: what was judged, and whether that flatters; see `data_facts`


def products(
    data: Path,
    artifact: Artifact,
    part: Part,
    seed: int,
    *,
    limit: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Products:
    """The products of a part, their photos scored as by workers.

    Args:
        data: a labelled data set.
        artifact: the model.
        part: of the split by product that a training with this seed makes.
        seed: see `part`.
        limit: the most products, the first by name; all by default.
        on_progress: called with the number of photos scored.

    Raises:
        DatasetError: the data set cannot be used, or no photo has a score.
        ArtifactError: the model cannot be used.
    """
    dataset = read_dataset(data)
    chosen = choose(dataset, part, seed, ()).judged
    names = sorted({photo.product for photo in chosen.photos})[:limit]
    kept = set(names)
    listed = tuple(photo for photo in chosen.photos if photo.product in kept)
    apart = {photo.photo for photo in chosen.photos}
    found = score(replace(chosen, photos=listed), artifact, on_progress=on_progress)
    scores: defaultdict[str, dict[str, Scores]] = defaultdict(dict)
    for photo, its in zip(found.dataset.photos, found.scores, strict=True):
        # A worker fails a photo that its model cannot score.
        if not np.isnan(its).any():
            scores[photo.product][photo.photo] = its
    if not scores:
        raise DatasetError(f"{data}: the model failed on every photo")
    filed = tags_by_product(listed)
    return Products(
        filed={name: frozenset(filed[name]) for name in names},
        scores={name: scores[name] for name in names},
        others=tuple(photo for photo in dataset.photos if photo.photo not in apart),
        unreadable=len(listed) - sum(map(len, scores.values())),
        data=data_facts(dataset, [found], artifact, part=part, seed=seed, leave_out=()),
    )
