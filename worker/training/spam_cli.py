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
    from worker.dataset.labelled import Dataset
    from worker.judging.spam import Products
    from worker.model.artifact import Artifact


def spam(
    model: Annotated[Path, typer.Argument(help="Folder of the model artifact.")],
    data: Annotated[Path, typer.Option(help="A labelled data set with category paths.")],
    out: Annotated[Path, typer.Option(help="Folder for spam.json, the report and its plot.")],
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit a judge, and write it into the artifact.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Plants the spam.")] = 0,
) -> None:
    """Judge how well a model finds keyword spam: words put there to be found.

    Spam is planted on products of the data set's test part, by the split that the model was trained
    with. A judge is fitted on its validation part. Needs the extra `train`.
    """
    with needing_extra("train"):  # and seconds to import
        from worker.dataset.labelled import read_dataset  # noqa: PLC0415
        from worker.decode import pixels  # noqa: PLC0415
        from worker.judging import spam_report  # noqa: PLC0415
        from worker.model import artifact as artifacts  # noqa: PLC0415
        from worker.training import spam as training  # noqa: PLC0415
    pixels.configure()
    artifact = artifacts.load(model)
    judge = artifact.spam
    if judge is None and not fit:
        raise DatasetError(f"{artifact.version} has no judge of spam yet: --fit makes one")
    dataset = read_dataset(data)
    trained_on = dataset.sha256 == artifact.manifest.provenance.dataset_sha256
    split = _split_seed(artifact, trained_on=trained_on)
    if fit:
        judge = training.fit(
            _products(dataset, "validation", artifact, split),
            artifact.vocabulary,
            artifact.thresholds,
            artifact.manifest.parents,
            artifact.related,
            seed=seed,
        )
    if judge is None:
        raise DatasetError(
            f"no judge: too few names with {training.MIN_PRODUCTS} products, or none precise enough"
        )
    products = _products(dataset, "test", artifact, split)
    found = {
        "trained_on": trained_on,
        "split_seed": split,
        **spam_report.judge_spam(judge, products, artifact.thresholds, artifact.related, seed=seed),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "spam.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (out / "spam.png").write_bytes(spam_report.plot(found))
    except OSError as error:
        raise SetupError(f"{error.filename or out}: {error.strerror or error}") from None
    if fit:
        artifacts.write_spam(model, judge)
    _print(found)


def _split_seed(artifact: "Artifact", *, trained_on: bool) -> int:
    """The seed of the split that the model was trained with.

    Raises:
        DatasetError: it was trained on this data set, and does not say by which split.
    """
    recipe = artifact.manifest.provenance.recipe
    if not trained_on:
        Console(stderr=True, markup=False, emoji=False).print(
            "WARNING: by its hash, this is not the data set that the model was trained on. Photos "
            "of its training that are here too flatter every figure, and a judge that is fitted."
        )
        return 0
    seed = recipe.get("seed")
    if recipe.get("split") != "product" or not isinstance(seed, int):
        raise DatasetError(
            f"{artifact.version} was trained on this data set and does not say by which split: "
            "nothing of it is known to be unseen"
        )
    return seed


def _products(dataset: "Dataset", part: Any, artifact: "Artifact", split: int) -> "Products":
    from worker.judging.labelled_scores import choose, score  # noqa: PLC0415
    from worker.judging.spam import products_of  # noqa: PLC0415

    chosen = choose(dataset, part, split, ()).judged
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
        ("names that can be judged, of those said", f"{found['names']} of {found['names_said']}"),
        ("of what sellers truly say, judged", _percent(found["words_judged"])),
        ("flagged from a score of", f"{found['cutoff']:.3f}"),
        (
            f"precision, {_percent(found['spammed'])} of listings spammed",
            _range(found["precision"]),
        ),
        ("recall, of judged names", _range(found["recall"])),
        *(
            (f"precision, {_percent(row['spammed'])} spammed", _range(row["precision"]))
            for row in found["by_prevalence"]
            if row["spammed"] != found["spammed"]
        ),
        ("precision, similar words planted", _range(found["similar"]["precision"])),
        ("recall, similar words planted", _range(found["similar"]["recall"])),
        ("average precision", f"{found['average_precision']:.3f}"),
        ("honest words flagged", _percent(honest["words_flagged"], 2)),
        (
            f"honest listings flagged, of {honest['listings_judged']} that can be",
            _range(honest["listings_flagged"], 4),
        ),
    ):
        table.add_row(*row)
    Console(markup=False, emoji=False).print(table)


def _range(spread: dict[str, float | None], digits: int = 3) -> str:
    if spread["median"] is None:
        return "-"
    median, low, high = (f"{spread[key]:.{digits}f}" for key in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def _percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}"
