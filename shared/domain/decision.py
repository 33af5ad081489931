"""From scores to words: the tags of a photo, of a listing, and the related ones.

A decision belongs to a model version and is stored beside it, so that any process can
decide again from stored scores without the model and without the photo.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.domain.related import RelatedTags
from shared.domain.scores import fuse
from shared.domain.thresholds import decide

Scored = tuple[str, float]


@dataclass(frozen=True)
class Decision:
    """What turns one model's scores into tags.

    Attributes:
        vocabulary: the model's tags, in the order of its scores.
        thresholds: float32 [tags]; a tag counts from its threshold on.
        related: the related-tag matrix with its own, larger vocabulary.
    """

    vocabulary: tuple[str, ...]
    thresholds: NDArray[np.float32]
    related: RelatedTags

    def tags(self, scores: NDArray[np.float32]) -> list[Scored]:
        """The tags of one photo from its scores [tags], best first."""
        return [(self.vocabulary[i], score) for i, score in decide(scores, self.thresholds)]

    def fused_tags(self, photos: Sequence[tuple[Sequence[str], Sequence[float]]]) -> list[Scored]:
        """The tags of a listing from its photos' (vocabulary, scores), best first.

        Photos scored by an earlier model count for the tags that both models know.
        """
        column = {tag: i for i, tag in enumerate(self.vocabulary)}
        aligned = np.full((len(photos), len(self.vocabulary)), np.nan, np.float32)
        for row, (vocabulary, scores) in enumerate(photos):
            for tag, score in zip(vocabulary, scores, strict=True):
                if tag in column:
                    aligned[row, column[tag]] = score
        return self.tags(fuse(aligned)) if photos else []

    def related_tags(self, tags: Iterable[str], seller_tags: Iterable[str]) -> list[Scored]:
        """Tags that go with the listing's and that neither we nor the seller gave it."""
        return self.related.recommend(tags, exclude=seller_tags)

    def to_json(self) -> dict[str, Any]:
        """A form for a jsonb column."""
        return {
            "vocabulary": list(self.vocabulary),
            "thresholds": [round(float(value), 6) for value in self.thresholds],
            "related": {
                "names": list(self.related.names),
                "matrix": self.related.matrix.round(6).tolist(),
                "cutoff": self.related.cutoff,
                "limit": self.related.limit,
                "normalised": self.related.normalised,
            },
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Decision":
        """The decision that `to_json` wrote."""
        related = value["related"]
        return cls(
            vocabulary=tuple(value["vocabulary"]),
            thresholds=np.asarray(value["thresholds"], np.float32),
            related=RelatedTags(
                tuple(related["names"]),
                np.asarray(related["matrix"], np.float32),
                cutoff=related["cutoff"],
                limit=related["limit"],
                normalised=related.get("normalised", False),
            ),
        )
