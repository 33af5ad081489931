"""How fast `tagger produce` records listings, with nobody else at work.

`scripts/bench intake` hands the command a file of events on a fresh database, and then the same
file again. Neither relay nor workers run.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import psycopg2
import typer
from rich.console import Console

from bench.command import main
from bench.events import event
from bench.findings import machine, tell
from bench.running import rows
from bench.sections import Section
from bench.throughput.child import Child
from bench.throughput.contest import LIMIT_S
from bench.throughput.cpu import Usage, measuring
from bench.throughput.report import number
from bench.throughput.servers import Servers
from dev.fleet import Fleet
from dev.services import Urls
from shared.errors import SetupError

FOLDER: Final = Path(".tagger/bench/intake")
#: Listings a second that are wanted, of new ones with a photo each.
TARGET: Final = 5000
NEW: Final = "new"
KNOWN: Final = "all known"
_FOUND: Final = """
    SELECT (SELECT count(*) FROM listing), (SELECT count(*) FROM photo),
        (SELECT extract(epoch FROM min(created_at))::float FROM listing)
"""
console = Console(width=140)


@dataclass(frozen=True, slots=True)
class Run:
    """One call of `tagger produce`, from the start of its process to its end."""

    photos_each: int  #: of a listing
    what: str  #: `NEW`, or `KNOWN` where the same file was recorded before
    listings: int
    seconds: float
    until_first_s: float | None  #: until the first listing's transaction began
    cpu_s: dict[str, float]  #: of the producer and of Postgres
    largest_mb: float  #: the producer's resident set; 0 where it was gone before the first look

    @property
    def listings_per_s(self) -> float:
        """Listings a second."""
        return self.listings / self.seconds


def intake(
    *,
    listings: Annotated[int, typer.Option(min=1)] = 100_000,
    photos_each: Annotated[
        list[int] | None, typer.Option(min=0, max=100, help="Repeatable; 1 and 5 by default.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20)] = 3,
    out: Annotated[Path, typer.Option(help="Where JSON and logs go.")] = FOLDER,
) -> None:
    """Listings a second that `tagger produce` records; the aim is 5,000 or more.

    About 40 seconds for each round, on two cores.
    """
    facts = {**machine(), "listings": listings, "target": TARGET}
    runs: list[Run] = []
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="intake-")))
        servers = stack.enter_context(Servers(out / "servers"))
        files = {photos: written(work, listings, photos) for photos in photos_each or (1, 5)}
        for round_ in range(1, rounds + 1):
            for photos, file in files.items():
                for run in measure(file, listings, photos, servers=servers, folder=out / "logs"):
                    console.print(
                        f"round {round_}, {photos} photos each, {run.what}: "
                        f"{run.listings_per_s:.0f} listings/s"
                    )
                    runs.append(run)
    told = [{**asdict(run), "listings_per_s": run.listings_per_s} for run in runs]
    tell(console, [section(runs)], {**facts, "runs": told}, out / "intake.json")


def written(folder: Path, listings: int, photos_each: int) -> Path:
    """A file of events of so many listings, each with so many photos of its own."""
    file = folder / f"{photos_each}.jsonl"
    now = datetime.now(UTC)
    with file.open("w") as stream:
        for place in range(listings):
            urls = [f"https://img.example.com/{place}/{photo}.jpg" for photo in range(photos_each)]
            stream.write(f"{event(place, urls, now)}\n")
    return file


def measure(
    file: Path, listings: int, photos_each: int, *, servers: Servers, folder: Path
) -> list[Run]:
    """Records a file on a fresh database, and once more when all of it is known.

    Raises:
        SetupError: the command does not end well, or other rows are there than should be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs: list[Run] = []
    with servers.fresh() as urls, closing(psycopg2.connect(urls.database_url)) as connection:
        connection.autocommit = True
        for what in (NEW, KNOWN):
            started = time.time()
            usage = _produced(file, urls, servers, folder)
            [(found, photos, first)] = rows(connection, _FOUND)
            if (found, photos) != (listings, listings * photos_each):
                raise SetupError(f"{found} listings with {photos} photos were recorded")
            runs.append(
                Run(
                    photos_each=photos_each,
                    what=what,
                    listings=listings,
                    seconds=usage.seconds,
                    until_first_s=first - started if what == NEW else None,
                    cpu_s=usage.cpu_s,
                    largest_mb=usage.largest_mb,
                )
            )
    return runs


def _produced(file: Path, urls: Urls, servers: Servers, folder: Path) -> Usage:
    producer = Child(
        [sys.executable, "-m", "tagger", "produce", str(file)],
        log=folder / "producer.log",
        environment=Fleet(urls, folder).environment,
        limit_s=LIMIT_S,
    )
    with producer:
        pids = {"producer": producer.pid, "postgres": servers.pids["postgres"]}
        with measuring(pids, memory_of="producer") as usage:
            if code := producer.feed(""):
                raise SetupError(f"tagger produce: exit code {code}; see {folder}")
    return usage


def section(runs: Sequence[Run]) -> Section:
    """The table: medians over the rounds."""
    table: list[list[Any]] = []
    for photos_each, what in dict.fromkeys((run.photos_each, run.what) for run in runs):
        group = [run for run in runs if (run.photos_each, run.what) == (photos_each, what)]
        rates = [run.listings_per_s for run in group]
        starts = [run.until_first_s for run in group if run.until_first_s is not None]
        table.append(
            [
                photos_each,
                what,
                number(statistics.median(rates)),
                f"{number(min(rates))} to {number(max(rates))}",
                f"{statistics.median(starts):.2f}" if starts else None,
                *(
                    number(statistics.median(run.cpu_s[name] / run.listings * 1e6 for run in group))
                    for name in ("producer", "postgres")
                ),
                number(largest) if (largest := max(run.largest_mb for run in group)) else None,
            ]
        )
    return Section(
        "Listings recorded",
        "By one `tagger produce`, from the start of its process to its end: medians over the "
        "rounds, and the range; seconds until it began with the first listing; microseconds of "
        f"CPU a listing. The aim is {TARGET:,} listings/s or more of new ones with one photo.",
        [
            *("photos each", "listings", "listings/s", "rounds", "start, s"),
            *("producer us", "Postgres us", "producer MB"),
        ],
        table,
    )


if __name__ == "__main__":
    main(intake)
