"""Related tags: what else products like this one are filed under."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

CUTOFF = 0.2
LIMIT = 10


def cosine_matrix(carries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine similarity between the columns of a product-by-tag table.

    Args:
        carries: `[products, tags]`, 1 where the product carries the tag, else 0.

    Returns:
        float32 `[tags, tags]` in 0..1; 0 for a tag that no product carries.
    """
    table = carries.astype(np.float64)
    norms = np.sqrt((table * table).sum(axis=0))
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    return np.clip(table.T @ table * np.outer(scale, scale), 0.0, 1.0).astype(np.float32)


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
    ) -> None:
        """Takes a similarity matrix and the names of its rows, which are those of its columns.

        Args:
            names: lower-case tags.
            matrix: float32 `[len(names), len(names)]`, symmetric, in 0..1.
            cutoff: a recommended tag's summed similarity is greater than this.
            limit: how many are recommended at most.

        Raises:
            ValueError: a name comes twice, or names and matrix do not fit each other.
        """
        if len({name.lower() for name in names}) != len(names):
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
        self.matrix = matrix
        self._row = {name.lower(): row for row, name in enumerate(names)}

    def recommend(
        self, tags: Iterable[str], exclude: Iterable[str] = ()
    ) -> list[tuple[str, float]]:
        """The tags most similar to these, taken together.

        Similarities are summed over the tags that the matrix knows, as in the paper; a sum is
        therefore no longer bounded by 1, and the cutoff means less the more tags there are.

        Args:
            tags: what the listing has, in any case.
            exclude: further tags that are not to be recommended.

        Returns:
            (tag, summed similarity), highest first, ties by name; never one of `tags` or
            `exclude`.
        """
        given = {tag.strip().lower() for tag in tags}
        banned = given | {tag.strip().lower() for tag in exclude}
        # Sorted, so that the floating-point sum depends on no order but the alphabet's.
        rows = [self._row[tag] for tag in sorted(given) if tag in self._row]
        sums = self.matrix[rows].sum(axis=0, dtype=np.float64)
        found = [
            (name, float(total))
            for name, total in zip(self.names, sums, strict=True)
            if total > self.cutoff and name.lower() not in banned
        ]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[: self.limit]
