"""How likely a seller's tag has nothing to do with the listing's photos (pure).

For each tag that products are filed under, a logistic model says how likely a product is filed
there whose photos look so. A tag that hardly any such product has, though many products have it,
was most likely put there to be found. Where the photos show nothing that the model knows, and
where they show a tag that goes with the seller's, nothing is doubted: that a photo does not show a
word is no evidence against it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: Scores further out than this say no more.
_SURE: Final = 1e-3
#: A share of products below this is taken for this.
_LEAST_SHARE: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Doubt:
    """A seller's tag that most likely is spam."""

    tag: str  #: as the seller wrote it
    score: float  #: the share of such tags that are spam, in 0..1
    shown: str  #: the surest tag of the photos
    share: float  #: of the products that look so, as many are filed under the seller's tag


@dataclass(frozen=True)
class SpamJudge:
    """The filing models of some tags, and the calibration of their verdicts.

    Attributes:
        names: lower-case tags that can be judged.
        weights: float32 [names, tags], over the logits of the scores.
        biases: float32 [names].
        shares: float32 [names], of all products that are filed there.
        kin: bool [names, tags], what goes together: parents, children and related tags.
        calibration: intercept, weight of the log share of such products, weight of the log share
            of all products: the log odds of spam.
        cutoff: doubts from this score on are told.
    """

    names: tuple[str, ...]
    weights: NDArray[np.float32]
    biases: NDArray[np.float32]
    shares: NDArray[np.float32]
    kin: NDArray[np.bool_]
    calibration: tuple[float, float, float]
    cutoff: float

    def filed(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64 `[n, names]`: how likely products that look so are filed under each tag.

        Args:
            scores: float32 `[n, tags]`, fused over each product's photos.
        """
        return 1 / (1 + np.exp(-(logits(scores) @ self.weights.T + self.biases)))

    def scores(self, filed: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 `[n, names]`: how likely each tag is spam if a seller says it."""
        intercept, by_share, by_all = self.calibration
        odds = (
            intercept
            + by_share * np.log(np.maximum(filed, _LEAST_SHARE))
            + by_all * np.log(np.maximum(self.shares, _LEAST_SHARE))
        )
        return 1 / (1 + np.exp(-odds))

    def doubts(
        self,
        scores: NDArray[np.float32],
        thresholds: NDArray[np.float32],
        vocabulary: Sequence[str],
        sellers: Sequence[Sequence[str]],
    ) -> list[list[Doubt]]:
        """What is doubted of each listing, the surest first.

        Args:
            scores: float32 `[n, tags]`, fused over each listing's photos.
            thresholds: float32 `[tags]`, from which on a tag counts as shown.
            vocabulary: the tags.
            sellers: the seller's tags of each listing.
        """
        filed = self.filed(scores)
        spam = self.scores(filed)
        shown = scores >= thresholds
        place = {name: index for index, name in enumerate(self.names)}
        found: list[list[Doubt]] = [[] for _ in sellers]
        for listing, tags in enumerate(sellers):
            if not shown[listing].any():
                continue
            surest = int(np.argmax(np.where(shown[listing], scores[listing], -1)))
            for tag in dict.fromkeys(tags):
                index = place.get(tag.strip().lower())
                if index is None or (self.kin[index] & shown[listing]).any():
                    continue
                score = float(spam[listing, index])
                if score >= self.cutoff:
                    share = float(filed[listing, index])
                    found[listing].append(Doubt(tag, score, vocabulary[surest], share))
            found[listing].sort(key=lambda doubt: (-doubt.score, doubt.tag))
        return found

    def to_json(self) -> dict[str, Any]:
        """A form for a file and for a jsonb column."""
        return {
            "names": list(self.names),
            "weights": [[round(float(cell), 5) for cell in row] for row in self.weights],
            "biases": [round(float(value), 5) for value in self.biases],
            "shares": [round(float(value), 6) for value in self.shares],
            "kin": [np.flatnonzero(row).tolist() for row in self.kin],
            "calibration": [round(value, 5) for value in self.calibration],
            "cutoff": round(self.cutoff, 5),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], tags: int) -> "SpamJudge":
        """What `to_json` wrote, for a vocabulary of so many tags.

        Raises:
            ValueError: its parts do not fit each other or the vocabulary, or are no numbers.
        """
        names = tuple(value["names"])
        weights = np.asarray(value["weights"], np.float32).reshape(len(names), -1)
        biases = np.asarray(value["biases"], np.float32)
        shares = np.asarray(value["shares"], np.float32)
        kin = np.zeros((len(names), tags), np.bool_)
        if weights.shape != kin.shape or not biases.shape == shares.shape == (len(names),):
            raise ValueError(f"{len(names)} names, {tags} tags, weights of {weights.shape}")
        if len(value["kin"]) != len(names) or len({name.lower() for name in names}) != len(names):
            raise ValueError("a name stands twice, or has no kin")
        for row, its in zip(kin, value["kin"], strict=True):
            if its and not 0 <= min(its) <= max(its) < tags:
                raise ValueError("kin outside the vocabulary")
            row[its] = True
        intercept, by_share, by_all = map(float, value["calibration"])
        cutoff = float(value["cutoff"])
        numbers = [*weights.flat, *biases, *shares, intercept, by_share, by_all, cutoff]
        if not np.isfinite(numbers).all():
            raise ValueError("something is no finite number")
        return cls(names, weights, biases, shares, kin, (intercept, by_share, by_all), cutoff)


def logits(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64, of the same shape: the scores' log odds, bounded; NaN counts as 0."""
    bounded = np.clip(np.nan_to_num(scores.astype(np.float64)), _SURE, 1 - _SURE)
    return np.log(bounded / (1 - bounded))


def reason(doubt: Doubt) -> str:
    """One sentence for people."""
    hundredth = round(100 * doubt.share)
    share = f"about {hundredth} in 100" if hundredth else "hardly any"
    return (
        f"The photos show {doubt.shown}; of products that look so, {share} are filed under "
        f"{doubt.tag}."
    )
