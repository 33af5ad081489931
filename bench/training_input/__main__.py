"""`scripts/bench training_input`: photos downloaded to shards, and batches read from them."""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from bench.command import main
from bench.findings import machine, tell
from bench.throughput.origin import Origin
from bench.training_input import report
from bench.training_input.download import Download, chosen, download, prepare
from worker.training.recipes import DEFAULT, RECIPES, recipe_of

FOLDER: Final = Path(".tagger/bench/training_input")
console = Console(width=140)


def training_input(
    *,
    data: Annotated[Path, typer.Option(help="A folder with labels and plain photos.")],
    limit: Annotated[int, typer.Option(min=1, help="Photos of it, from all over it.")] = 4000,
    recipe: Annotated[
        str, typer.Option(help=f"Whose photos and batches: {', '.join(RECIPES)}.")
    ] = DEFAULT,
    rounds: Annotated[int, typer.Option(min=1, max=20)] = 5,
    turn_s: Annotated[float, typer.Option(min=0, help="A source's turn in a round.")] = 2,
    out: Annotated[Path, typer.Option(help="Where the JSON goes.")] = FOLDER,
) -> None:
    """Photos/s of `tagger dataset download`, images/s of a training's input without a network.

    About a minute on two cores.
    """
    measured = recipe_of(recipe)
    facts = {**machine(), "recipe": recipe, "side": measured.side}
    downloads: list[Download] = []
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="training-input-")))
        photos, rows = chosen(data, limit)
        with Origin(photos) as origin:
            urls = [f"{origin.url}{path}" for path in photos.paths(len(rows))]
            for round_ in range(1, rounds + 1):
                folder = work / f"{round_}"
                prepare(folder, rows, urls)
                downloads.append(download(folder, origin))
                console.print(
                    f"round {round_}, download: {downloads[-1].photos_per_s:,.0f} photos/s"
                )
        # TensorFlow takes seconds to import, and whoever only asks for help should not wait.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from bench.training_input import epochs  # noqa: PLC0415

        found = epochs.measure(
            work / "1", work / "pixels", measured, rounds=rounds, turn_s=turn_s, say=console.print
        )
    what = f"{len(rows):,} photos of {photos.mean_bytes / 1000:.1f} KB"
    facts |= {"photos": len(rows), "mean_bytes": photos.mean_bytes}
    tell(
        console,
        report.sections(downloads, found, what),
        report.as_json(downloads, found, facts),
        out / "training_input.json",
    )


if __name__ == "__main__":
    main(training_input)
