"""`tagger related`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from shared.domain.related import CUTOFF, LIMIT, MINIMUM_SHARE, MINIMUM_SUPPORT, Measure
from shared.errors import SetupError
from shared.extras import needing_extra

if TYPE_CHECKING:
    from worker.judging.related_report import RelatedFindings


def related(
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="[TAG]...", help="Recommend for these together.")
    ] = None,
    *,
    data: Annotated[Path, typer.Option(help="A labelled data set, or a prepared one.")],
    out: Annotated[Path, typer.Option(help="Folder for related.json, report.md and pictures.")],
    measure: Annotated[Measure, typer.Option(help="How alike two tags are.")] = "cosine",
    minimum_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of the products, that a tag must be seen on.")
    ] = MINIMUM_SHARE,
    minimum_support: Annotated[
        int, typer.Option(min=1, help="Products that a tag, and a pair of tags, must be seen on.")
    ] = MINIMUM_SUPPORT,
    cutoff: Annotated[float, typer.Option(min=0, help="Recommend what is more similar.")] = CUTOFF,
    limit: Annotated[int, typer.Option(min=1, help="Recommend at most so many.")] = LIMIT,
    normalised: Annotated[
        bool, typer.Option("--mean/--sum", help="Over the given tags; the paper sums.")
    ] = True,
    paper_faithful: Annotated[
        bool, typer.Option("--paper-faithful", help="Show what the paper's notebook printed, too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Places the map.")] = 0,
) -> None:
    """Find which tags go together in a data set, and recommend some. Needs the extra `train`."""
    # OpenCV comes with the data sets, and most commands never need it.
    from worker.dataset.utf8 import in_utf8  # noqa: PLC0415
    from worker.judging.filings import read_filings  # noqa: PLC0415
    from worker.judging.related_page import related_page  # noqa: PLC0415
    from worker.judging.related_report import (  # noqa: PLC0415
        RelatedOptions,
        as_json,
        find_related,
    )

    options = RelatedOptions(
        measure=measure,
        minimum_share=minimum_share,
        minimum_support=minimum_support,
        cutoff=cutoff,
        limit=limit,
        normalised=normalised,
        paper_faithful=paper_faithful,
    )
    given = [in_utf8(tag) for tag in tags or []]
    filings, rejected = read_filings(data)
    findings = find_related(filings, options, given)
    try:
        out.mkdir(parents=True, exist_ok=True)
        mapped = _draw(out, findings, seed)
        described: dict[str, Any] = {"rejected": dict(rejected), "seed": seed, **as_json(findings)}
        (out / "related.json").write_text(json.dumps(described, indent=1) + "\n", "utf-8")
        (out / "report.md").write_text(related_page(findings, mapped=mapped), "utf-8")
    except OSError as error:
        raise SetupError(f"{error.filename or out}: {error.strerror or error}") from None
    _print(findings, out)
    if rejected:
        Console(stderr=True).print(f"not used: {dict(rejected)}", markup=False, highlight=False)


def _draw(out: Path, findings: "RelatedFindings", seed: int) -> bool:
    with needing_extra("train"):
        from worker.judging.related_plots import (  # noqa: PLC0415
            MAPPED_FROM,
            plot_map,
            plot_matrix,
            tag_map,
        )
    names, matrix = findings.related.names, findings.related.matrix
    title = f"{findings.options.measure} similarity of {len(names)} tags over products"
    plot_matrix(out / "matrix.png", names, matrix, title)
    if mapped := len(names) >= MAPPED_FROM:
        plot_map(out / "map.png", names, tag_map(matrix, seed), findings.categories)
    return mapped


def _print(findings: "RelatedFindings", out: Path) -> None:
    # Plain: a tag may look like markup.
    console = Console(markup=False, emoji=False)
    facts = findings.facts
    by = "mean" if findings.options.normalised else "sum"
    if facts["given"]:
        _rows(console, Table("recommended", by), facts["recommended"])
    if facts["unknown"]:
        _say(console, f"not in the matrix: {', '.join(facts['unknown'])}")
    if paper := findings.notebook:
        if facts["given"]:
            shown = Table("the paper's notebook prints", "sum", "that column is")
            _rows(console, shown, facts["paper_faithful"]["recommended"])
        wrong = f"{len(paper.misnamed)} of {len(paper.columns)}"
        _say(console, f"{wrong} columns of the paper's matrix carry another column's name")
    _say(console, f"{len(findings.related.names)} tags of {facts['products']:,} products: {out}")


def _rows(console: Console, shown: Table, rows: Iterable[tuple[str | float, ...]]) -> None:
    for row in rows:
        shown.add_row(*(cell if isinstance(cell, str) else f"{cell:.6f}" for cell in row))
    if shown.row_count:
        console.print(shown)
    else:
        _say(console, f"{shown.columns[0].header}: nothing")


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, highlight=False, soft_wrap=True)
