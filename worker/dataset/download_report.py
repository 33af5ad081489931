"""What `tagger dataset download` shows: a bar while it runs, a table at its end."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from rich import progress as bars
from rich.console import Console
from rich.table import Table

from worker.dataset.download import Progress
from worker.dataset.ledger import Summary
from worker.dataset.shards import FOLDER


@contextmanager
def progress_bar() -> Generator[Callable[[Progress], None]]:
    """A bar on a terminal's stderr; yields what takes each step."""
    bar = bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[failed]}", style="yellow"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task("downloading", total=None, rate="", failed="")

        def show(progress: Progress) -> None:
            done = progress.stored + progress.failed.total()
            elapsed_s = bar.tasks[0].elapsed
            rate = f"{(done - progress.resumed) / elapsed_s:.0f}/s" if elapsed_s else ""
            failed = " ".join(f"{code} {count}" for code, count in progress.failed.most_common())
            bar.update(task, total=progress.total, completed=done, rate=rate, failed=failed)

        yield show


def table(summary: Summary, folder: Path) -> None:
    """The counts, on stdout."""
    # Plain: a folder's name may look like markup.
    console = Console(markup=False, emoji=False)
    run, groups = summary.last_run, summary.near_duplicates
    shown = Table("photos", "count", show_edge=False, pad_edge=False)
    shown.add_row("stored", f"{summary.stored:,} ({summary.stored_bytes / 1e6:,.1f} MB)")
    for code, count in summary.failed.items():
        shown.add_row(f"failed: {code}", f"{count:,}")
    shown.add_row("tried in this call", f"{run.photos:,}")
    shown.add_row("near-duplicates", f"{groups.photos:,} in {groups.groups:,} groups")
    shown.add_row("groups across products", f"{groups.across_products:,}")
    console.print(shown)
    console.print(
        f"{summary.shards} shards in {folder / FOLDER}, {run.seconds:,.1f} s,"
        f" {run.photos_per_s:,.1f} photos/s",
        soft_wrap=True,
    )
    if summary.failed:
        console.print(
            f"{sum(summary.failed.values()):,} failed, by name in {folder / FOLDER}/*.json;"
            " remove a .tar there, and its photos are tried again",
            soft_wrap=True,
        )
