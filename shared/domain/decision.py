"""From scores to words: the tags of a photo, of a listing, and the related ones.

A decision belongs to a model version and is stored beside it, so that any process can
decide again from stored scores without the model and without the photo.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.domain.related import RelatedTags
from shared.domain.scores import fuse
from shared.domain.spam import Doubt, SpamJudge
from shared.domain.thresholds import decide

Scored = tuple[str, float]
#: A photo's scores, and the vocabulary whose order they are in.
PhotoScores = tuple[Sequence[str], Sequence[float]]


@dataclass(frozen=True)
class Decision:
    """What turns one model's scores into tags.

    Attributes:
        vocabulary: the model's tags, in the order of its scores.
        thresholds: float32 [tags]; a tag counts from its threshold on.
        related: the related-tag matrix with its own, larger vocabulary.
        spam: doubts sellers' tags; None doubts nobody.
    """

    vocabulary: tuple[str, ...]
    thresholds: NDArray[np.float32]
    related: RelatedTags
    spam: SpamJudge | None = None

    def tags(self, scores: NDArray[np.float32]) -> list[list[Scored]]:
        """The tags of photos, or of listings, from their scores [n, tags], best first."""
        return [
            [(self.vocabulary[tag], score) for tag, score in decided]
            for decided in decide(scores, self.thresholds)
        ]

    def fused(self, listings: Sequence[Sequence[PhotoScores]]) -> NDArray[np.float32]:
        """float32 `[listings, tags]`: the scores of listings, each with a photo at least.

        Photos scored by another model count for the tags that both models know; 0 for a tag that
        none of the listing's photos was scored for.
        """
        aligned = [self._aligned(*photo) for photos in listings for photo in photos]
        return fuse(np.asarray(aligned, np.float32), [len(photos) for photos in listings])

    def doubts(
        self, scores: NDArray[np.float32], sellers: Sequence[Sequence[str]]
    ) -> list[list[Doubt]]:
        """What is doubted of listings with these fused scores and sellers' tags."""
        if self.spam is None:
            return [[] for _ in sellers]
        return self.spam.doubts(scores, scores >= self.thresholds, sellers)

    def related_tags(
        self, listings: Sequence[tuple[Sequence[str], Sequence[str]]]
    ) -> list[list[Scored]]:
        """Tags that go with each listing's (tags, seller's tags) and are none of them."""
        return self.related.recommend_all(listings)

    def _aligned(self, vocabulary: Sequence[str], scores: Sequence[float]) -> Sequence[float]:
        """The scores in the order of this vocabulary, NaN where there is none."""
        if vocabulary == self.vocabulary:
            return scores
        known = dict(zip(vocabulary, scores, strict=True))
        return [known.get(tag, np.nan) for tag in self.vocabulary]

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
            **({"spam": self.spam.to_json()} if self.spam else {}),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Decision":
        """The decision that `to_json` wrote."""
        related, spam = value["related"], value.get("spam")
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
            spam=SpamJudge.from_json(spam, len(value["vocabulary"])) if spam else None,
        )
