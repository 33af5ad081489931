"""How likely a seller's tag was only put there to be found (pure).

For each name that products are filed under, a logistic model over the photos' scores says how many
of the products that look so are filed there. A name that hardly any of them has, though many
products have it, is doubted. It is doubted only on evidence: something else must be likely that
never goes with it, by the similarities of related tags. That photos do not show a word is no
evidence, and what stands above a shown tag is never doubted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.vocabulary import canonical

#: Scores further out than this say no more.
_SURE: Final = 1e-3
#: A share of products below this is taken for this.
LEAST_SHARE: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Doubt:
    """A seller's tag that most likely is spam."""

    tag: str  #: as the seller wrote it
    score: float  #: the share of such tags that are spam, in 0..1
    share: float  #: of the products that look so, as many are filed under the tag
    instead: str  #: what speaks most against it
    instead_share: float  #: of the products that look so, as many are filed under that


@dataclass(frozen=True)
class SpamJudge:
    """The filing models of some names, and the calibration of their verdicts.

    Attributes:
        names: lower-case, those that can be judged.
        pairs: int `[pairs, 2]`, tags whose logits are multiplied to make further features.
        weights: float32 `[names, tags + pairs]`, over the logits of the scores and the products.
        biases: float32 `[names]`.
        shares: float32 `[names]`, of all products that are filed there.
        apart: bool `[names, names]`, symmetric: never, or hardly ever, on one product.
        implied: bool `[names, tags]`: a product that shows the tag is filed under the name.
        evidence: something apart from the tag must be at least so likely.
        calibration: the log odds of spam are the first, and the second times the log share of
            such products, and the third times the log share of all products.
        cutoff: doubts from this score on are told.
    """

    names: tuple[str, ...]
    pairs: NDArray[np.intp]
    weights: NDArray[np.float32]
    biases: NDArray[np.float32]
    shares: NDArray[np.float32]
    apart: NDArray[np.bool_]
    implied: NDArray[np.bool_]
    evidence: float
    calibration: tuple[float, float, float]
    cutoff: float

    def filed(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64 `[n, names]`: how many of the products that look so are filed under each name.

        Args:
            scores: float32 `[n, tags]`, fused over each product's photos; NaN: not known.
        """
        odds = features(scores, self.pairs) @ self.weights.T + self.biases
        return 1 / (1 + np.exp(-np.clip(odds, -50, 50)))

    def spam(
        self, scores: NDArray[np.float32], shown: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
        """How likely each name is spam if a seller says it, whatever the cutoff.

        Args:
            scores: see `filed`.
            shown: bool `[n, tags]`, what counts as shown.

        Returns:
            Three arrays `[n, names]`: the scores, float64, 0 where there is no evidence; `filed`;
            and which name speaks most against each, int.
        """
        filed = self.filed(scores)
        intercept, by_share, by_all = self.calibration
        odds = (
            intercept
            + by_share * np.log(np.maximum(filed, LEAST_SHARE))
            + by_all * np.log(np.maximum(self.shares, LEAST_SHARE))
        )
        against, strongest = self._against(filed)
        implied = (shown[:, None, :] & self.implied).any(axis=2)
        doubtful = (against >= self.evidence) & ~implied
        spam = np.where(doubtful, 1 / (1 + np.exp(-np.clip(odds, -50, 50))), 0.0)
        return spam, filed, strongest

    def doubts(
        self,
        scores: NDArray[np.float32],
        shown: NDArray[np.bool_],
        sellers: Sequence[Sequence[str]],
    ) -> list[list[Doubt]]:
        """What is doubted of each listing, the surest first.

        Args:
            scores: float32 `[n, tags]`, fused over each listing's photos.
            shown: bool `[n, tags]`, what counts as shown.
            sellers: the seller's tags of each listing.
        """
        if not sellers:
            return []
        spam, filed, strongest = self.spam(scores, shown)
        place = {name: index for index, name in enumerate(self.names)}
        found: list[list[Doubt]] = []
        for tags, its_spam, its_filed, against in zip(sellers, spam, filed, strongest, strict=True):
            doubts: list[Doubt] = []
            for tag in dict.fromkeys(tags):
                index = place.get(canonical(tag))
                if index is None or its_spam[index] < self.cutoff:
                    continue
                most = int(against[index])
                doubts.append(
                    Doubt(
                        tag,
                        float(its_spam[index]),
                        float(its_filed[index]),
                        self.names[most],
                        float(its_filed[most]),
                    )
                )
            found.append(sorted(doubts, key=lambda doubt: (-doubt.score, doubt.tag)))
        return found

    def _against(self, filed: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """What speaks most against each name: float64 `[n, names]`, how much, and int, which."""
        apart = np.where(self.apart, filed[:, None, :], 0.0)
        return apart.max(axis=2), apart.argmax(axis=2)

    def to_json(self) -> dict[str, Any]:
        """A form for a file and for a jsonb column."""
        return {
            "names": list(self.names),
            "pairs": self.pairs.tolist(),
            "weights": [[round(float(cell), 5) for cell in row] for row in self.weights],
            "biases": [round(float(value), 5) for value in self.biases],
            "shares": [round(float(value), 6) for value in self.shares],
            "apart": [np.flatnonzero(row).tolist() for row in self.apart],
            "implied": [np.flatnonzero(row).tolist() for row in self.implied],
            "evidence": round(self.evidence, 5),
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
        if len(set(names)) != len(names) or any(name != name.lower() for name in names):
            raise ValueError("a name stands twice, or is not in lower case")
        pairs = np.asarray(value["pairs"], np.intp).reshape(-1, 2)
        if ((pairs < 0) | (pairs >= tags)).any():
            raise ValueError("a pair names a tag outside the vocabulary")
        weights = np.asarray(value["weights"], np.float32).reshape(len(names), -1)
        biases = np.asarray(value["biases"], np.float32)
        shares = np.asarray(value["shares"], np.float32)
        if weights.shape != (len(names), tags + len(pairs)) or not (
            biases.shape == shares.shape == (len(names),)
        ):
            raise ValueError(f"{len(names)} names and {tags} tags do not fit the weights")
        apart = _flags(value["apart"], len(names), len(names))
        if (apart != apart.T).any():
            raise ValueError("a name is apart from another, which is not apart from it")
        intercept, by_share, by_all = map(float, value["calibration"])
        evidence, cutoff = float(value["evidence"]), float(value["cutoff"])
        numbers = [intercept, by_share, by_all, evidence, cutoff]
        if not all(np.isfinite(part).all() for part in (weights, biases, shares, numbers)):
            raise ValueError("something is no finite number")
        return cls(
            names,
            pairs,
            weights,
            biases,
            shares,
            apart,
            _flags(value["implied"], len(names), tags),
            evidence,
            (intercept, by_share, by_all),
            cutoff,
        )


def features(scores: NDArray[np.float32], pairs: NDArray[np.intp]) -> NDArray[np.float64]:
    """float64 `[n, tags + pairs]`: the scores' log odds, bounded, and products of some.

    Args:
        scores: float32 `[n, tags]`; NaN counts as undecided.
        pairs: int `[pairs, 2]`, the tags whose log odds are multiplied.
    """
    bounded = np.clip(np.nan_to_num(scores.astype(np.float64), nan=0.5), _SURE, 1 - _SURE)
    # A quarter: linear and multiplied ones are then of one size, and one penalty fits both.
    odds = np.log(bounded / (1 - bounded)) / 4
    return np.hstack([odds, odds[:, pairs[:, 0]] * odds[:, pairs[:, 1]]])


def reason(doubt: Doubt) -> str:
    """One sentence for people."""
    return (
        f"Of products whose photos look like these, {_in_hundred(doubt.instead_share)} are filed "
        f"under {doubt.instead} and {_in_hundred(doubt.share)} under {doubt.tag}."
    )


def _in_hundred(share: float) -> str:
    hundredths = round(100 * share)
    return f"{hundredths} in 100" if hundredths else "hardly any"


def _flags(rows: Sequence[Sequence[int]], count: int, width: int) -> NDArray[np.bool_]:
    if len(rows) != count:
        raise ValueError(f"{len(rows)} rows for {count} names")
    flags = np.zeros((count, width), np.bool_)
    for flag, its in zip(flags, rows, strict=True):
        if its and not 0 <= min(its) <= max(its) < width:
            raise ValueError("a row names what is not there")
        flag[its] = True
    return flags
