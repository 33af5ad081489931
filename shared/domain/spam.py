"""How likely a seller's tag was only put there to be found (pure).

For each name that products are filed under, a logistic model over the photos' scores says how many
of the products that look so are filed there. A name that hardly any of them has, though many
products have it, is doubted. It is doubted only on evidence: something else must be likely that
never goes with it, by the similarities of related tags. That photos do not show a word is no
evidence, and what stands above a shown tag is never doubted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.domain.spelling import words

#: Scores further out than this say no more.
_SURE: Final = 1e-3
#: A share of products below this is taken for this.
LEAST_SHARE: Final = 1e-4
#: Of a judge, so that what it takes is bounded.
MAX_NAMES: Final = 1000
#: So many said names are judged at once; each is compared with all names.
_AT_ONCE: Final = 2048


@dataclass(frozen=True, slots=True)
class Doubt:
    """A seller's tag that most likely is spam."""

    tag: str  #: the name that the seller says, as the judge spells it
    score: float  #: the share of such tags that are spam, in 0..1
    share: float  #: of the products that look so, as many are filed under the tag
    instead: str  #: what speaks most against it
    instead_share: float  #: of the products that look so, as many are filed under that


class Verdicts(NamedTuple):
    """What a judge says of names that sellers say, one each."""

    spam: NDArray[np.float64]  #: `[m]`, how likely; 0 where there is no evidence
    shares: NDArray[np.float64]  #: `[m]`, of the products that look so, filed under the name
    instead: NDArray[np.intp]  #: `[m]`, the name that speaks most against it
    instead_shares: NDArray[np.float64]  #: `[m]`, of the products that look so, filed under that

    @classmethod
    def joined(cls, parts: Sequence["Verdicts"]) -> "Verdicts":
        """One after the other; at least one."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))


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

    def verdicts(
        self,
        scores: NDArray[np.float32],
        shown: NDArray[np.bool_],
        rows: NDArray[np.intp],
        names: NDArray[np.intp],
    ) -> "Verdicts":
        """How likely names are spam if sellers say them, whatever the cutoff.

        Args:
            scores: see `filed`.
            shown: bool `[n, tags]`, what counts as shown.
            rows: int `[m]`, whose seller says it, at least one.
            names: int `[m]`, and what.
        """
        parts = [
            self._verdicts(
                scores, shown, rows[start : start + _AT_ONCE], names[start : start + _AT_ONCE]
            )
            for start in range(0, len(rows), _AT_ONCE)
        ]
        return Verdicts.joined(parts)

    def _verdicts(
        self,
        scores: NDArray[np.float32],
        shown: NDArray[np.bool_],
        rows: NDArray[np.intp],
        names: NDArray[np.intp],
    ) -> "Verdicts":
        """As `verdicts`; in memory are three arrays `[m, names]`."""
        its, place = np.unique(rows, return_inverse=True)
        filed = self.filed(scores[its])
        shares = filed[place, names]
        apart = np.where(self.apart[names], filed[place], 0.0)
        strongest = apart.argmax(axis=1)
        against = apart[np.arange(len(rows)), strongest]
        implied = (shown[rows] & self.implied[names]).any(axis=1)
        intercept, by_share, by_all = self.calibration
        odds = (
            intercept
            + by_share * np.log(np.maximum(shares, LEAST_SHARE))
            + by_all * np.log(np.maximum(self.shares[names], LEAST_SHARE))
        )
        doubtful = (against >= self.evidence) & ~implied
        spam = np.where(doubtful, 1 / (1 + np.exp(-np.clip(odds, -50, 50))), 0.0)
        return Verdicts(spam, shares, strongest, filed[place, strongest])

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
        place = {key: index for index, name in enumerate(self.names) if (key := words(name))}
        said = [
            (row, index)
            for row, tags in enumerate(sellers)
            for index in dict.fromkeys(place.get(words(tag)) for tag in tags)
            if index is not None
        ]
        found: list[list[Doubt]] = [[] for _ in sellers]
        if not said:
            return found
        rows, names = np.array(said, np.intp).T
        verdicts = self.verdicts(scores, shown, rows, names)
        for at in np.flatnonzero(verdicts.spam >= self.cutoff).tolist():
            row, index = said[at]
            doubt = Doubt(
                self.names[index],
                float(verdicts.spam[at]),
                float(verdicts.shares[at]),
                self.names[int(verdicts.instead[at])],
                float(verdicts.instead_shares[at]),
            )
            found[row].append(doubt)
        return [sorted(doubts, key=lambda doubt: (-doubt.score, doubt.tag)) for doubts in found]

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
