"""Related tags of a data set: what they are, whether they are right, and what the paper's were."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.related import MEASURES, Measure, RelatedTags, similarity_matrix
from shared.domain.vocabulary import STOP_TAGS, clean_segment, minimum_share
from shared.errors import DatasetError
from worker.dataset.catalogue import table_of, tags_by_product
from worker.judging.filings import Filing
from worker.judging.held_out_related import held_out
from worker.judging.notebook_related import NotebookRelated, notebook_related

_CLOSEST: Final = 20


@dataclass(frozen=True, slots=True)
class RelatedOptions:
    """How related tags are made."""

    measure: Measure
    minimum_share: float  #: of the distinct products, that a tag must be seen on
    minimum_support: int  #: products that a tag, and a pair of tags, must be seen on
    cutoff: float
    limit: int
    normalised: bool
    paper_faithful: bool


@dataclass(frozen=True, slots=True)
class RelatedFindings:
    """Similarities of a data set's tags, and how far they can be trusted."""

    options: RelatedOptions
    related: RelatedTags
    support: dict[str, int]  #: products a tag
    categories: dict[str, str]  #: a tag's main category: the root above it on most products
    facts: dict[str, Any]  #: the rest of `related.json`
    notebook: NotebookRelated | None


def find_related(
    filings: Sequence[Filing], options: RelatedOptions, tags: Sequence[str]
) -> RelatedFindings:
    """Makes the similarities, and recommends for `tags`.

    Raises:
        DatasetError: no tag is left.
    """
    tags_of = tags_by_product(filings)
    products = Counter(tag for its_tags in tags_of.values() for tag in its_tags)
    names = [
        name
        for name in minimum_share(tags_of, options.minimum_share)
        if products[name] >= options.minimum_support
    ]
    if not names:
        raise DatasetError(
            f"no tag is on {options.minimum_share:.2%} and {options.minimum_support} "
            f"of the {len(tags_of):,} products; lower --minimum-share or --minimum-support"
        )
    matrix = similarity_matrix(
        table_of(tags_of.values(), names), options.measure, options.minimum_support
    )
    related = RelatedTags(
        names, matrix, options.cutoff, options.limit, normalised=options.normalised
    )
    notebook = notebook_related(filings, options.minimum_share) if options.paper_faithful else None
    facts: dict[str, Any] = {
        "products": len(tags_of),
        "rows": sum(filing.rows for filing in filings),
        "given": list(tags),
        "unknown": [tag for tag in tags if clean_segment(tag) not in names],
        "recommended": [
            (name, round(value, 6))
            for name, value in related.recommend(clean_segment(tag) for tag in tags)
        ],
        "closest": _closest(names, matrix),
        "held_out": _held_out(filings, options),
    }
    if notebook:
        facts["paper_faithful"] = {
            "columns": len(notebook.columns),
            "misnamed": notebook.misnamed,
            "recommended": [
                (printed, round(total, 6), really)
                for printed, total, really in notebook.recommend(clean_segment(tag) for tag in tags)
            ],
        }
    return RelatedFindings(
        options=options,
        related=related,
        support={name: products[name] for name in names},
        categories=main_categories(filings, names),
        facts=facts,
        notebook=notebook,
    )


def as_json(findings: RelatedFindings) -> dict[str, Any]:
    """Everything, for `related.json`; names and matrix as in a model's artifact."""
    return {
        "options": asdict(findings.options),
        **findings.facts,
        "support": findings.support,
        "names": list(findings.related.names),
        "matrix": findings.related.matrix.astype(np.float64).round(6).tolist(),
    }


def main_categories(filings: Iterable[Filing], names: Sequence[str]) -> dict[str, str]:
    """For each name the root, stop tags passed over, of most products' paths that hold it."""
    wanted = set(names)
    seen: set[tuple[str, str, str]] = set()
    for filing in filings:
        for path in filing.paths:
            cleaned = [tag for tag in map(clean_segment, path) if tag and tag not in STOP_TAGS]
            seen |= {(filing.product, tag, cleaned[0]) for tag in cleaned if tag in wanted}
    votes = Counter((tag, root) for _, tag, root in seen)
    found: dict[str, str] = {}
    for (tag, root), _ in sorted(votes.items(), key=lambda vote: (-vote[1], vote[0])):
        found.setdefault(tag, root)
    return found


def _closest(names: Sequence[str], matrix: NDArray[np.float32]) -> list[tuple[str, str, float]]:
    pairs = [
        (names[one], names[other], round(float(matrix[one, other]), 6))
        for one in range(len(names))
        for other in range(one + 1, len(names))
        if matrix[one, other] > 0
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))[:_CLOSEST]


def _held_out(filings: Sequence[Filing], options: RelatedOptions) -> list[dict[str, Any]]:
    return [
        {
            "measure": measure,
            "normalised": normalised,
            **asdict(
                held_out(
                    filings,
                    options.minimum_share,
                    measure,
                    options.minimum_support,
                    cutoff=options.cutoff,
                    limit=options.limit,
                    normalised=normalised,
                )
            ),
        }
        for measure in MEASURES
        for normalised in (True, False)
    ]
