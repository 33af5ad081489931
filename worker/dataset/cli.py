"""`tagger dataset`: a marketplace's catalogue to labelled photos on disk."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from shared.domain.vocabulary import STOP_TAGS, clean_segment
from shared.errors import DatasetError
from shared.extras import needing_extra
from shared.settings import load_photo_limits, load_settings

if TYPE_CHECKING:
    from worker.dataset.prepare import Prepared, Progress
    from worker.dataset.voted import Voted

app = typer.Typer(help="Data sets: prepare and download.", no_args_is_help=True)

#: Exit code of `download` when some photos failed; the others are in the shards.
EXIT_FAILED = 3

_FILES = "JSON lines or Python literals, gzip or plain; may be repeated, and be a quoted glob."


@app.command()
def prepare(
    out: Annotated[Path, typer.Option(help="A new folder for photos.parquet and the report.")],
    metadata: Annotated[
        list[str] | None, typer.Option(help=f"Amazon metadata of 2014, 2018 or 2023: {_FILES}")
    ] = None,
    reviews: Annotated[
        list[str] | None, typer.Option(help="Amazon reviews of 2018 or 2023, likewise.")
    ] = None,
    products: Annotated[
        list[str] | None,
        typer.Option(
            help="Any marketplace: JSON lines or CSV with product, categories, catalogue_urls, "
            "user_urls."
        ),
    ] = None,
    votes: Annotated[
        bool,
        typer.Option(
            "--votes",
            help="Listings of the database whose tags reviewers have decided; needs DATABASE_URL.",
        ),
    ] = False,
    set_name: Annotated[
        str | None, typer.Option("--set", help="Name of this collection; else the file's.")
    ] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="JSON with the tags to use, and aliases of segments.")
    ] = None,
    minimum_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of distinct products, for a tag to be kept.")
    ] = 0.05,
    stop_tag: Annotated[
        list[str] | None,
        typer.Option(help="Never a tag; may be repeated. Else: electronics."),
    ] = None,
    catalogue: Annotated[
        int, typer.Option(min=0, help="Catalogue photos of a product at most.")
    ] = 5,
    user: Annotated[int, typer.Option(min=0, help="Users' photos of a product at most.")] = 2,
    min_catalogue: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Products with fewer catalogue photos are left out.  [2; with --votes 0]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which photos are sampled.")] = 0,
    drop_empty_categories: Annotated[
        bool,
        typer.Option(
            "--drop-empty-categories",
            help="Leave out products without a category, instead of taking them as untagged.",
        ),
    ] = False,
    paper_faithful: Annotated[
        bool,
        typer.Option(
            "--paper-faithful",
            help="Split, filter and sample exactly as the paper's notebooks, faults included.",
        ),
    ] = False,
    memory_mb: Annotated[
        int, typer.Option(min=100, help="DuckDB's share of memory; the rest goes to disk.")
    ] = 400,
) -> None:
    """Make photo rows of a marketplace's metadata and reviews. Needs the extra `train`.

    Exit code 1, and the report, where no photo is left.
    """
    with needing_extra("train"):
        from worker.dataset import prepare as preparing  # noqa: PLC0415
    if min_catalogue is None:
        min_catalogue = 0 if votes else 2
    with _voted(votes) as voted:
        request = preparing.PrepareRequest(
            out=out,
            metadata=_files(metadata),
            reviews=_files(reviews),
            products=_files(products),
            voted=voted,
            set_name=set_name,
            vocabulary=vocabulary,
            minimum_share=minimum_share,
            stop_tags=STOP_TAGS if stop_tag is None else frozenset(map(clean_segment, stop_tag)),
            sampling=preparing.Sampling(
                catalogue, user, min_catalogue, seed, drop_empty_categories, paper_faithful
            ),
            memory_mb=memory_mb,
        )
        with _progress_bar() as show:
            prepared = preparing.prepare(request, show)
    _report(prepared, out)
    if not prepared.photos:
        raise DatasetError(
            f"no photo is left: the table above and {out / 'report.md'} say which step dropped them"
        )


@contextmanager
def _voted(wanted: bool) -> Generator["Voted | None"]:  # an option of the command
    """What votes decide, in a file that goes when this ends."""
    if not wanted:
        yield None
        return
    from shared.db.session import make_engine  # noqa: PLC0415  # others need no server
    from worker.dataset.voted import write_voted  # noqa: PLC0415

    engine = make_engine(load_settings(), role="prepare", connections=1)
    with TemporaryDirectory(prefix="tagger-votes-") as folder:
        with engine.connect() as connection:
            voted = write_voted(connection, Path(folder))
        yield voted


@contextmanager
def _progress_bar() -> Generator["Callable[[Progress], None]"]:
    with Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as bar:
        task = bar.add_task("looking at the files", total=None)

        def show(progress: "Progress") -> None:
            bar.update(
                task,
                description=progress.stage,
                completed=progress.done_bytes,
                total=progress.total_bytes,
            )

        yield show


def _files(patterns: list[str] | None) -> tuple[Path, ...]:
    return tuple(path for pattern in patterns or () for path in _named(Path(pattern)))


def _named(pattern: Path) -> list[Path]:
    """The file of this name, be it there or not, or those that match it as a glob."""
    root = Path(pattern.anchor)
    try:
        found = [] if pattern.exists() else sorted(root.glob(str(pattern.relative_to(root))))
    except (OSError, ValueError):
        found = []  # neither a possible name nor a glob: reading it says what is wrong
    return found or [pattern]


def _report(prepared: "Prepared", out: Path) -> None:
    # Plain: the name of a file or of the folder may look like markup.
    console = Console(markup=False, emoji=False)
    steps = Table("step", "in", "kept", "dropped", show_edge=False, pad_edge=False)
    for step in prepared.findings.steps:
        steps.add_row(*step.cells)
    console.print(steps)
    console.print(
        f"{prepared.photos:,} photos of {len(prepared.tags)} tags are in {out}; report.md has the "
        "dirt with examples",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def download(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `prepare` made.")],
    side: Annotated[
        int | None,
        typer.Option(min=32, help="Shrink photos that are larger to this on their longer side."),
    ] = None,
    shard_photos: Annotated[
        int, typer.Option(min=1, max=100_000, help="Photos of a shard.")
    ] = 1000,
    connections: Annotated[
        int | None, typer.Option(min=1, max=256, help="To one host at once; 16 by default.")
    ] = None,
    attempts: Annotated[
        int, typer.Option(min=1, max=10, help="Tries of a photo that may do better later.")
    ] = 3,
) -> None:
    """Download a prepared data set's photos to WebDataset shards. Safe to kill and to repeat.

    Exit code 0: every photo is in DIR/shards. 3: some failed; they stand with their codes in the
    JSON file beside their shard, and counted in DIR/download.json.
    """
    with needing_extra("train"):
        from worker.dataset import download_report  # noqa: PLC0415
        from worker.dataset.download import download as fetch  # noqa: PLC0415
        from worker.decode import pixels  # noqa: PLC0415
    pixels.configure()
    limits = load_photo_limits()
    with download_report.progress_bar() as show:
        summary = fetch(
            folder,
            limits,
            side=side,
            shard_photos=shard_photos,
            connections=connections or limits.connections_per_host,
            attempts=attempts,
            on_progress=show,
        )
    download_report.table(summary, folder)
    if summary.failed:
        raise typer.Exit(EXIT_FAILED)
