"""Every number of the paper that needs no network, on a data set of yours.

`scripts/bench paper --data DIR --out DIR` counts what the paper counts, its way and the right
way, measures what its split by photo lets through, and what that is worth to a tagger that only
looks for the nearest training photo. docs/paper.md tells what the figures mean.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from bench import paper_counts, paper_leak, paper_neighbours
from bench.sections import Section
from shared.domain.related import cosine_matrix
from shared.errors import TaggerError
from worker.dataset.catalogue import table_of
from worker.dataset.labelled import read_dataset
from worker.judging.filings import Filing, read_filings
from worker.judging.notebook_related import notebook_related
from worker.judging.paper import filed_under

_CATALOGUES = ("meta_*.json.gz", "*_5.json.gz")
console = Console(width=140)


def paper(
    *,
    data: Annotated[Path, typer.Option(help="A labelled data set; published files beside it.")],
    out: Annotated[Path, typer.Option(help="Where paper.json and paper.md go.")] = Path(
        ".tagger/bench"
    ),
    seeds: Annotated[int, typer.Option(min=1, help="Splits to average over.")] = 5,
) -> None:
    """Count, and measure the leak."""
    started = time.monotonic()
    try:
        sections = _sections(data, seeds)
    except TaggerError as error:
        raise SystemExit(f"{error.code}: {error}") from None
    for section in sections:
        section.show(console)
    described: dict[str, Any] = {
        "command": f"scripts/bench paper --data {data.name} --seeds {seeds}",
        "seconds": round(time.monotonic() - started, 1),
        "sections": [section.as_json() for section in sections],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "paper.json").write_text(json.dumps(described, indent=1) + "\n")
    title = f"# The paper's numbers on `{data.name}`\n\n`{described['command']}`\n"
    (out / "paper.md").write_text("\n".join([title, *(one.markdown() for one in sections)]))
    console.print(f"{described['seconds']} s; {out / 'paper.md'}")


def _sections(data: Path, seeds: int) -> list[Section]:
    dataset = read_dataset(data)
    filings, _ = read_filings(data)
    sections = [
        paper_counts.untagged(dataset.photos, 0),
        paper_counts.tag_counts(filings),
        paper_counts.over_counted(filings),
        paper_counts.commas(filings),
    ]
    if files := sorted({path for pattern in _CATALOGUES for path in data.glob(pattern)}):
        sections.append(paper_counts.urls(files))
    sections.append(_similarities(filings))
    looks = paper_leak.look(dataset)
    return [
        *sections,
        paper_leak.leaks(looks, seeds),
        paper_leak.sampled_leaks(looks, seeds),
        paper_neighbours.flattery(looks, seeds),
        paper_neighbours.thresholds(looks, seeds),
    ]


def _similarities(filings: Sequence[Filing]) -> Section:
    rows: list[list[Any]] = []
    for share in paper_counts.SHARES:
        notebook = notebook_related(filings, share)
        # The same columns, so that only what is counted differs.
        tags_of: dict[str, set[str]] = {}
        for filing in filings:
            its = tags_of.setdefault(filing.product, set())
            its |= filed_under(filing, split_commas=True)
        over_products = cosine_matrix(table_of(tags_of.values(), notebook.columns))
        off = np.abs(notebook.matrix - over_products)[np.triu_indices(len(over_products), 1)]
        rows.append(
            [
                f"{share:.1%}",
                len(notebook.columns),
                len(notebook.misnamed),
                len(off),
                int((off > 0.01).sum()),
                float(off.max(initial=0)),
            ]
        )
    return Section(
        "The similarity matrix",
        "Columns are sorted, names are in order of first sight; similarities are over rows, with "
        "repeated segments counted, and not over products.",
        [
            "share",
            "columns",
            "with another column's name",
            "pairs",
            "off by more than 0.01",
            "largest difference",
        ],
        rows,
    )


if __name__ == "__main__":
    typer.run(paper)
