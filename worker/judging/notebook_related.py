"""Related tags as the authors' notebook (code19_similarity) computed them, wrong names and all.

For comparison only. Four things differ from `shared.domain.related`: rows are photos (there:
reviews), so that a much-photographed product counts many times; a segment named twice counts
twice; the columns lie in sorted order but are named in order of first sight; and the cutoff
stands on a plain sum, in which given tags may recommend each other.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.related import CUTOFF, cosine_matrix
from shared.domain.vocabulary import STOP_TAGS, clean_segment
from worker.judging.filings import Filing

#: More similar than this is taken for the tag itself, and the only thing that is left out.
ITSELF: Final = 0.999


def notebook_tokens(segments: Sequence[str]) -> list[str]:
    """Tags out of a category list as text: printed, without brackets and quotes, split at ", ".

    A segment with a comma comes apart: "Bags, Cases & Sleeves" is `bags` and `cases & sleeves`.
    """
    text = re.sub(r"[\[\]']", "", str(list(segments))).lower()
    return [token for token in text.split(", ") if token and token not in STOP_TAGS]


@dataclass(frozen=True, slots=True)
class NotebookRelated:
    """A similarity matrix whose columns carry other columns' names."""

    columns: tuple[str, ...]  #: what each column is: sorted, as `get_feature_names_out()`
    printed: tuple[str, ...]  #: what it was called: order of first sight, `vocabulary_.keys()`
    matrix: NDArray[np.float32]  #: `[columns, columns]`

    @property
    def misnamed(self) -> list[tuple[str, str]]:
        """(printed name, what the column really is) where they differ."""
        pairs = zip(self.printed, self.columns, strict=True)
        return [(printed, really) for printed, really in pairs if printed != really]

    def recommend(self, tags: Iterable[str]) -> list[tuple[str, float, str]]:
        """(printed name, summed similarity, what that column really is), highest sum first.

        Sums over those given tags that are printed over a column; a column counts where its
        similarity is in (0, 0.999], and is recommended where the sum is greater than 0.2.
        """
        rows = [self.printed.index(tag) for tag in dict.fromkeys(tags) if tag in self.printed]
        taken = self.matrix[rows].astype(np.float64)
        sums = np.where(taken > ITSELF, 0.0, taken).sum(axis=0)
        order = np.argsort(-sums, kind="stable")
        return [
            (self.printed[column], float(sums[column]), self.columns[column])
            for column in order
            if sums[column] > CUTOFF
        ]


def notebook_related(filings: Iterable[Filing], share: float) -> NotebookRelated:
    """The notebook's matrix over these filings, a row a photo.

    Segments are cleaned first, so that the names can be compared with the right ones, and labels
    that no segment spells out are added: here they are apart from the paths, in the authors'
    table they are segments.

    Args:
        filings: in the order of the file, which decides the names.
        share: a tag is kept from this share of the distinct products on (the paper's 0.5 %).
    """
    documents: list[tuple[str, int, Counter[str]]] = []
    products_of: dict[str, set[str]] = {}  # in order of first sight, as CountVectorizer keeps them
    for filing in filings:
        segments = [clean_segment(segment) for path in filing.paths for segment in path]
        tokens = Counter(notebook_tokens(segments))
        tokens.update(tag for tag in dict.fromkeys(filing.tags) if tag not in tokens)
        documents.append((filing.product, filing.rows, tokens))
        for token in tokens:
            products_of.setdefault(token, set()).add(filing.product)
    needed = round(share * len({product for product, _, _ in documents}), 9)
    printed = tuple(token for token, products in products_of.items() if len(products) >= needed)
    columns = tuple(sorted(printed))
    column = {name: index for index, name in enumerate(columns)}
    table = np.zeros((len(documents), len(columns)), np.float32)
    for row, (_, rows, tokens) in enumerate(documents):
        for token, count in tokens.items():
            if token in column:
                # A row that comes n times adds n times its products, so its root weighs each.
                table[row, column[token]] = count * rows**0.5
    return NotebookRelated(columns, printed, cosine_matrix(table))
