"""Related tags: what else products like this one are filed under."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from shared.domain.vocabulary import canonical

Measure = Literal["cosine", "jaccard", "overlap"]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
CUTOFF = 0.2
LIMIT = 10
#: A tag is in the matrix from this share of the products on (the paper's 0.5 %).
MINIMUM_SHARE = 0.005
#: Tags that go together on fewer products are an anecdote.
MINIMUM_SUPPORT = 5
#: So many rows are counted at a time, in float64, whatever the size of the table.
_BLOCK = 1 << 16


def similarity_matrix(
    carries: NDArray[np.float32], measure: Measure = "cosine", minimum_support: int = 1
) -> NDArray[np.float32]:
    """Similarity between the columns of a product-by-tag table.

    With A and B the sets of products that carry two tags: `cosine` is |A and B| / sqrt(|A| |B|)
    (the paper's), `jaccard` is |A and B| / |A or B|, and `overlap` is |A and B| / min(|A|, |B|)
    (Szymkiewicz-Simpson: 1 as soon as one tag implies the other, as a child does its parent).

    Args:
        carries: `[products, tags]`, 1 where the product carries the tag, else 0.
        measure: see above.
        minimum_support: a pair on fewer products than this counts as never seen together, a tag
            on fewer as like nothing: one mislabelled product is no evidence.

    Returns:
        float32 `[tags, tags]`, symmetric, in 0..1; 0 for a tag that no product carries.
    """
    together = np.zeros((carries.shape[1], carries.shape[1]))
    for start in range(0, len(carries), _BLOCK):
        block = carries[start : start + _BLOCK].astype(np.float64)
        together += block.T @ block
    own = together.diagonal().copy()
    together[together < minimum_support] = 0
    match measure:
        case "cosine":
            whole = np.sqrt(np.outer(own, own))
        case "jaccard":
            whole = own[:, None] + own[None, :] - together
        case "overlap":
            whole = np.minimum(own[:, None], own[None, :])
    shares = np.divide(together, whole, out=np.zeros_like(together), where=together > 0)
    return np.clip(shares, 0.0, 1.0).astype(np.float32)


def cosine_matrix(carries: NDArray[np.float32]) -> NDArray[np.float32]:
    """`similarity_matrix` by the paper's measure, without a minimum support."""
    return similarity_matrix(carries)


class RelatedTags:
    """Recommends tags by their similarity to the ones a listing has.

    After the paper's section on similarity; names and columns are kept together here, which the
    authors' notebook (code19_similarity) lost.
    """

    def __init__(
        self,
        names: Sequence[str],
        matrix: NDArray[np.float32],
        cutoff: float = CUTOFF,
        limit: int = LIMIT,
        *,
        normalised: bool = False,
    ) -> None:
        """Takes a similarity matrix and the names of its rows, which are those of its columns.

        Args:
            names: lower-case tags.
            matrix: float32 `[len(names), len(names)]`, symmetric, in 0..1.
            cutoff: a recommended tag's similarity to the given ones is greater than this.
            limit: how many are recommended at most.
            normalised: divide the sum of similarities by the number of given tags that the matrix
                knows. The cutoff then means the same for one tag and for ten; the paper's plain
                sum lets more through the more tags there are.

        Raises:
            ValueError: a name comes twice, or names and matrix do not fit each other.
        """
        if len({*map(canonical, names)}) != len(names):
            raise ValueError("a related tag is named twice")
        if matrix.shape != (len(names), len(names)):
            raise ValueError(f"{len(names)} related tags, matrix of {matrix.shape}")
        if not np.isfinite(matrix).all() or matrix.min(initial=0) < 0 or matrix.max(initial=0) > 1:
            raise ValueError("a similarity is not within 0..1")
        if not np.array_equal(matrix, matrix.T):
            raise ValueError("the similarities are not symmetric")
        self.names = tuple(names)
        self.cutoff = cutoff
        self.limit = limit
        self.normalised = normalised
        self.matrix = matrix
        self._canonical = tuple(map(canonical, names))
        self._row = {name: row for row, name in enumerate(self._canonical)}

    def recommend(
        self, tags: Iterable[str], exclude: Iterable[str] = ()
    ) -> list[tuple[str, float]]:
        """The tags most similar to these, taken together.

        Similarities are summed over the tags that the matrix knows, as in the paper, and divided
        by their number where `normalised`; a plain sum is not bounded by 1.

        Args:
            tags: what the listing has, in any case.
            exclude: further tags that are not to be recommended.

        Returns:
            (tag, mean or summed similarity), highest first, ties by name; never one of `tags` or
            `exclude`.
        """
        return self.recommend_all([(tags, exclude)])[0]

    def recommend_all(
        self, listings: Sequence[tuple[Iterable[str], Iterable[str]]]
    ) -> list[list[tuple[str, float]]]:
        """What `recommend` returns for the (tags, exclude) of each listing, in one go."""
        rows: list[int] = []
        counts: list[int] = []
        banned: list[set[str]] = []
        for tags, exclude in listings:
            given = {*map(canonical, tags)}
            # Sorted, so that the floating-point sum depends on no order but the alphabet's.
            known = [self._row[tag] for tag in sorted(given) if tag in self._row]
            rows += known
            counts.append(len(known))
            banned.append(given.union(map(canonical, exclude)))
        found: list[list[tuple[str, float]]] = [[] for _ in counts]
        if not rows:
            return found
        some = np.flatnonzero(counts)
        lengths = np.asarray(counts)[some]
        starts = np.cumsum(lengths) - lengths
        sums = np.add.reduceat(self.matrix[rows], starts, axis=0, dtype=np.float64)
        if self.normalised:
            sums /= lengths[:, None]
        places, candidates = np.nonzero(sums > self.cutoff)
        owners: list[int] = some[places].tolist()
        columns: list[int] = candidates.tolist()
        totals: list[float] = sums[places, candidates].tolist()
        for owner, column, total in zip(owners, columns, totals, strict=True):
            if self._canonical[column] not in banned[owner]:
                found[owner].append((self.names[column], total))
        return [sorted(its, key=_best_first)[: self.limit] for its in found]


def _best_first(recommended: tuple[str, float]) -> tuple[float, str]:
    return -recommended[1], recommended[0]
