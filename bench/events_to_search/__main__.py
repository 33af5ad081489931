"""`scripts/bench events_to_search`: from a signed event over HTTP to what a search finds."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from bench.command import main
from bench.events_to_search.report import TARGET_MS, as_json, section
from bench.events_to_search.run import Run, measure
from bench.findings import machine, tell
from bench.place import Place
from bench.running import as_settings
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers

FOLDER: Final = Path(".tagger/bench/events_to_search")
console = Console(width=140)


def events_to_search(
    *,
    sizes: Annotated[
        str, typer.Option(help=f"Comma-separated: {', '.join(photos.NAMES)}.")
    ] = "mid",
    listings: Annotated[int, typer.Option(min=1, help="One after another.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the pauses between them.")] = 1,
    setting: Annotated[
        list[str] | None, typer.Option(help="TAGGER_NAME=VALUE for our processes; repeatable.")
    ] = None,
    limit_s: Annotated[float, typer.Option(help="How long a step may take.")] = 60,
    out: Annotated[Path, typer.Option(help="Where JSON and logs go.")] = FOLDER,
) -> None:
    """From event to search on an idle machine: p50 of 2 s or less.

    A client of the `cloudevents` and `standardwebhooks` SDKs creates, updates and deletes
    listings through `tagger intake http`, each once the one before has followed. Relay, workers
    and `tagger index` run beside it. About three minutes for 200 listings.
    """
    settings = as_settings(setting or [])
    facts = {**machine(), "listings": listings, "seed": seed, "settings": settings}
    runs: dict[str, Run] = {}
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="events-")))
        servers = stack.enter_context(Servers(out / "servers"))
        for name in photos.chosen(sizes):
            drawn = photos.generated(name, work / name)
            origin = stack.enter_context(Origin(drawn))
            place = Place(servers, origin, drawn.paths, out / "logs", settings, limit_s)
            runs[name] = measure(place, listings, seed=seed)
    tell(console, [section(runs)], as_json(runs, facts), out / "events_to_search.json")
    slowest = max(
        run.latency_ms(kind, "found")["p50"] for run in runs.values() for kind in run.seconds
    )
    console.print(f"The slowest median: {slowest:,.0f} ms; the aim: {TARGET_MS:,} ms.")


if __name__ == "__main__":
    main(events_to_search)
