"""The page `report.md` about related tags, for people."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from worker.judging.related_report import RelatedFindings

_HELD_OUT: Final = (
    "Similarities of four fifths of the products; for the last fifth the labels are given, and "
    "right is what else the product is filed under. At this cutoff:"
)


def related_page(findings: RelatedFindings, *, mapped: bool) -> str:
    """Markdown, with the pictures beside it inline.

    Args:
        findings: see `find_related`.
        mapped: whether there is a map of the tags.
    """
    options, facts = findings.options, findings.facts
    by = "mean" if options.normalised else "sum"
    made_of = (
        f"{len(findings.related.names)} tags, seen on at least {options.minimum_share:.2%} of "
        f"{facts['products']:,} products and on {options.minimum_support}; similarity by "
        f"{options.measure}, over products; a pair of tags counts from {options.minimum_support} "
        f"products on. Recommended: {by} over the given tags > {options.cutoff:g}, at most "
        f"{options.limit}."
    )
    lines = [
        "# Related tags",
        "",
        made_of,
        "",
        *_recommended(findings, by),
        "## Are they right?",
        "",
        _HELD_OUT,
        "",
        *table(
            ("measure", "by", "products", "recommended a product", "precision", "recall"),
            [
                (
                    row["measure"],
                    "mean" if row["normalised"] else "sum",
                    f"{row['products']:,}",
                    f"{row['recommended']:.2f}",
                    _share(row["precision"]),
                    _share(row["recall"]),
                )
                for row in facts["held_out"]
            ],
        ),
        "## The closest pairs",
        "",
        *table(
            ("tag", "tag", "similarity"),
            [(one, other, f"{value:.4f}") for one, other, value in facts["closest"]],
        ),
        "## The matrix",
        "",
        "![Similarity of tags](matrix.png)",
        "",
        *(["## The map", "", "![Map of tags](map.png)", ""] if mapped else []),
        *_notebook(findings),
    ]
    return "\n".join(lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table, with an empty one behind it."""
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows),
        "",
    ]


def _recommended(findings: RelatedFindings, by: str) -> list[str]:
    facts = findings.facts
    if not facts["given"]:
        return []
    lines = [f"## Recommended for {_listed(facts['given'])}", ""]
    if facts["unknown"]:
        lines += [f"Not in the matrix, and so without a say: {_listed(facts['unknown'])}.", ""]
    if not facts["recommended"]:
        return [*lines, "Nothing.", ""]
    rows = [(name, f"{value:.6f}") for name, value in facts["recommended"]]
    return [*lines, *table(("tag", by), rows)]


def _notebook(findings: RelatedFindings) -> list[str]:
    if not (paper := findings.notebook):
        return []
    facts: dict[str, Any] = findings.facts["paper_faithful"]
    how = (
        f"Over {findings.facts['rows']:,} photos and not {findings.facts['products']:,} products, "
        "repeated segments counted, segments split at commas, the plain sum > 0.2. "
        f"**{len(paper.misnamed)} of its {len(paper.columns)} columns carry another column's "
        "name**: they are sorted, their names are in order of first sight."
    )
    lines = ["## As the paper's notebook did it", "", how, ""]
    if facts["recommended"]:
        rows = [
            (printed, f"{total:.6f}", really, "yes" if printed == really else "no")
            for printed, total, really in facts["recommended"]
        ]
        lines += [
            f"For {_listed(findings.facts['given'])} it prints:",
            "",
            *table(("printed name", "sum", "what that column is", "right name"), rows),
        ]
    elif findings.facts["given"]:
        lines += [f"For {_listed(findings.facts['given'])} it prints nothing.", ""]
    return [
        *lines,
        "### Every wrong name",
        "",
        *table(("printed name", "what that column is"), paper.misnamed),
    ]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
