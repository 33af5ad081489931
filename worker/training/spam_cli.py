"""`tagger spam`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from shared.errors import DatasetError, SetupError
from shared.extras import needing_extra

if TYPE_CHECKING:
    from worker.judging.spam import Products
    from worker.model.artifact import Artifact


def spam(
    model: Annotated[Path, typer.Argument(help="Folder of the model artifact.")],
    data: Annotated[Path, typer.Option(help="A labelled data set with category paths.")],
    out: Annotated[Path, typer.Option(help="Folder for spam.json, the report and its plot.")],
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit a judge, and write it into the artifact.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the split, and plants the spam.")] = 0,
) -> None:
    """Judge how well a model finds keyword spam: words put there to be found.

    Spam is planted on products of the data set's test part. A judge is fitted on its validation
    part. Needs the extra `train`.
    """
    with needing_extra("train"):  # and seconds to import
        from worker.decode import pixels  # noqa: PLC0415
        from worker.judging import spam_report  # noqa: PLC0415
        from worker.model import artifact as artifacts  # noqa: PLC0415
        from worker.training import spam as training  # noqa: PLC0415
    pixels.configure()
    artifact = artifacts.load(model)
    judge = artifact.spam
    if fit:
        judge = training.fit(
            _products(data, "validation", artifact, seed),
            artifact.vocabulary,
            artifact.thresholds,
            artifact.manifest.parents,
            artifact.related,
            seed=seed,
        )
    if judge is None:
        raise DatasetError(
            f"no judge: too few names with {training.MIN_PRODUCTS} products, or none precise enough"
            if fit
            else f"{artifact.version} has no judge of spam yet: --fit makes one"
        )
    found = spam_report.judge_spam(
        judge, _products(data, "test", artifact, seed), artifact.thresholds, seed=seed
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "spam.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (out / "spam.png").write_bytes(spam_report.plot(found))
    except OSError as error:
        raise SetupError(f"{error.filename or out}: {error.strerror or error}") from None
    if fit:
        artifacts.write_spam(model, judge)
    _print(found)


def _products(data: Path, part: Any, artifact: "Artifact", seed: int) -> "Products":
    from worker.dataset.labelled import read_dataset  # noqa: PLC0415
    from worker.judging.labelled_scores import choose, score  # noqa: PLC0415
    from worker.judging.spam import products_of  # noqa: PLC0415

    chosen = choose(read_dataset(data), part, seed, ()).judged
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(f"{part} photos", total=len(chosen.photos))
        found = score(
            chosen, artifact, on_progress=lambda done: progress.update(bar, completed=done)
        )
    return products_of(found.dataset.photos, found.scores)


def _print(found: dict[str, Any]) -> None:
    honest = found["honest"]
    table = Table("what", "figure", show_edge=False)
    for row in (
        ("names that can be judged", f"{found['names']}"),
        ("of what sellers truly say, judged", _percent(found["words_judged"])),
        ("flagged from a score of", f"{found['cutoff']:.3f}"),
        (
            f"precision, {_percent(found['spammed'])} of listings spammed",
            _range(found["precision"]),
        ),
        ("recall", _range(found["recall"])),
        *(
            (f"precision, {_percent(row['spammed'])} spammed", _range(row["precision"]))
            for row in found["by_prevalence"]
            if row["spammed"] != found["spammed"]
        ),
        ("average precision", f"{found['average_precision']:.3f}"),
        ("honest words flagged", _percent(honest["words_flagged"], 2)),
        ("honest listings flagged", _percent(honest["listings_flagged"], 2)),
    ):
        table.add_row(*row)
    Console(markup=False, emoji=False).print(table)


def _range(spread: dict[str, float | None]) -> str:
    if spread["median"] is None:
        return "-"
    return f"{spread['median']:.3f} ({spread['least']:.3f} to {spread['most']:.3f})"


def _percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}"
