"""`tagger evaluate`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from shared.extras import needing_extra

#: Measure -> heading.
_SHOWN = {
    "hamming": "Hamming",
    "hamming_nonempty": "tagged",
    "exact_match": "exact",
    "map": "mAP",
    "macro_f1": "macro F1",
}


def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of the model artifact.")],
    data: Annotated[Path, typer.Option(help="A labelled data set, or a downloaded one.")],
    out: Annotated[Path, typer.Option(help="Folder for the report and its plots.")],
    part: Annotated[
        Literal["all", "train", "validation", "test"],
        typer.Option(help="Judge one part of the split that a training with this seed makes."),
    ] = "all",
    leave_out: Annotated[
        list[str] | None,
        typer.Option(help="A set to judge apart, all of it; may be repeated."),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, max=100_000, help="Resamples for intervals; 0 for none.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the split and the resamples.")] = 0,
) -> None:
    """Judge a model, as it serves, on labelled photos. Needs the extra `train`."""
    with needing_extra("train"):  # and seconds to import
        from worker.decode import pixels  # noqa: PLC0415
        from worker.judging import evaluate as judging  # noqa: PLC0415
    pixels.configure()
    request = judging.Request(
        model=model,
        data=data,
        part=part,
        leave_out=sorted(set(leave_out or ())),
        bootstrap=bootstrap,
        seed=seed,
    )
    with Progress(
        TextColumn("photos"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as progress:
        bar = progress.add_task("", total=None)

        def show(done: int, photos: int) -> None:
            words = "measuring and drawing" if done == photos else ""
            progress.update(bar, completed=done, total=photos, description=words)

        report = judging.evaluate(request, out, on_progress=show)
    _print(report, out)


def _print(report: dict[str, Any], out: Path) -> None:
    table = Table(title=escape(f"{report['model']['version']} on {report['data']['folder']}"))
    table.add_column("photos of", overflow="fold")
    for heading in ("", *_SHOWN.values()):
        table.add_column(heading, justify="right")
    for name, measured in _slices(report):
        cells = [_cell(measured[column]) for column in _SHOWN]
        table.add_row(escape(name), f"{measured['photos']:,}", *cells)
    table.add_section()
    always_empty = report["baselines"]["always_empty"]
    table.add_row("(no tag, always)", "", *(_cell(always_empty[column]) for column in _SHOWN))
    console = Console()
    console.print(table)
    data = report["data"]
    lost = sum(data["rejected_rows"].values()) + sum(data["unreadable_photos"].values())
    facts = [data["warning"]]
    if lost:
        facts.append(f"{lost:,} rows or photos could not be used; the report says why.")
    if data["unknown_tags"]:
        facts.append(
            f"The model does not know {len(data['unknown_tags']):,} tags of the labels: "
            f"{data['photos_with_unknown_tags']:,} photos are judged as if without them."
        )
    for fact in [*facts, f"The report is in {out}."]:
        console.print(fact, highlight=False, markup=False, soft_wrap=True)


def _slices(report: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    apart = [("sets judged apart", report["left_out"]["overall"])] if "left_out" in report else []
    by_group = [*report["by_source"].items(), *report["by_set"].items()]
    return [("all", report["overall"]), *apart, *by_group]


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
