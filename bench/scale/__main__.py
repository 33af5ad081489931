"""`scripts/bench scale`: a photo's cost before ten thousand due photos and before a million."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from bench.command import main
from bench.findings import machine, tell
from bench.running import as_settings
from bench.scale.blocks import measure_blocks
from bench.scale.end_to_end import Pace, measure_pace
from bench.scale.report import blocks_json, blocks_sections, paces_json, paces_section
from bench.sections import Section
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers

FOLDER: Final = Path(".tagger/bench/scale")
console = Console(width=160)


def scale(
    *,
    short: Annotated[int, typer.Option(min=0, help="Due photos behind those measured.")] = 10_000,
    long: Annotated[int, typer.Option(min=0, help="The same of the long backlog.")] = 1_000_000,
    photos_count: Annotated[int, typer.Option(min=1, help="Photos taken through the steps.")] = (
        20_480
    ),
    block: Annotated[int, typer.Option(min=1, help="Of them, before it is the other's turn.")] = (
        512
    ),
    relay_photos: Annotated[int, typer.Option(min=1, help="Taken in a round of the relay.")] = 128,
    batch: Annotated[int, typer.Option(min=1, help="Claimed and settled together.")] = 64,
    vacuum: Annotated[
        bool, typer.Option(help="VACUUM (ANALYZE) once the rows are made, as autovacuum would.")
    ] = True,
    end_to_end: Annotated[
        bool, typer.Option("--end-to-end", help="With relay, workers and real photos, too.")
    ] = False,
    first: Annotated[int, typer.Option(min=1, help="Photos tagged end to end.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="End to end.")] = 3,
    size: Annotated[str, typer.Option(help=f"One of {', '.join(photos.NAMES)}.")] = "thumbnail",
    setting: Annotated[
        list[str] | None, typer.Option(help="TAGGER_NAME=VALUE for our processes; repeatable.")
    ] = None,
    limit_s: Annotated[float, typer.Option(help="A run that takes longer is given up.")] = 300,
    out: Annotated[Path, typer.Option(help="Where JSON and logs go.")] = FOLDER,
) -> None:
    """What relay, claim and settling cost before a long backlog; the aim is 0.95 or more.

    Half a minute on two cores, and about a minute more for each round end to end.
    """
    [name] = photos.chosen(size)
    settings = as_settings(setting or [])
    found: dict[str, Any] = {
        **machine(),
        "vacuumed": vacuum,
        "relay_photos": relay_photos,
        "batch": batch,
        "size": name,
        "settings": settings,
    }
    tables: list[Section] = []
    with ExitStack() as stack:
        servers = stack.enter_context(Servers(out / "servers"))
        both = measure_blocks(
            (short, long),
            servers=servers,
            photos=photos_count,
            block=block,
            at_once=relay_photos,
            batch=batch,
            vacuumed=vacuum,
            say=console.print,
        )
        tables += blocks_sections(*both)
        found["steps"] = blocks_json(*both)
        if end_to_end:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scale-")))
            drawn = photos.generated(name, work)
            origin = stack.enter_context(Origin(drawn))
            paces: list[Pace] = []
            for round_ in range(1, rounds + 1):
                for backlog in (short, long) if round_ % 2 else (long, short):
                    pace = measure_pace(
                        first,
                        backlog,
                        servers=servers,
                        origin=origin,
                        files=len(drawn.files),
                        folder=out / "logs",
                        settings=settings,
                        vacuumed=vacuum,
                        limit_s=limit_s,
                    )
                    paces.append(pace)
                    console.print(
                        f"round {round_}, {backlog:,} behind: {pace.photos_per_s:.0f} photos/s"
                    )
            tables.append(paces_section(paces))
            found["end_to_end"] = paces_json(paces)
    tell(console, tables, found, out / "scale.json")


if __name__ == "__main__":
    main(scale)
