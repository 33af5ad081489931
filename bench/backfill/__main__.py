"""`scripts/bench backfill`: what a back catalogue that is being tagged costs new listings."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from bench.backfill.report import Scene, as_json, section
from bench.backfill.run import measure
from bench.command import main
from bench.findings import machine, tell
from bench.latency.schedule import Load
from bench.place import Place
from bench.running import as_settings
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers

FOLDER: Final = Path(".tagger/bench/backfill")
console = Console(width=140)


def backfill(
    *,
    sizes: Annotated[
        str, typer.Option(help=f"Comma-separated: {', '.join(photos.NAMES)}.")
    ] = "thumbnail,mid",
    per_s: Annotated[float, typer.Option(min=0.1, help="New listings a second.")] = 20,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Of events that count.")] = 30,
    warm_up_s: Annotated[float, typer.Option(min=0, help="Of events before them.")] = 3,
    catalogue: Annotated[
        int, typer.Option(min=1, help="Photos of the catalogue: more than are tagged meanwhile.")
    ] = 200_000,
    rounds: Annotated[int, typer.Option(min=1, max=20)] = 3,
    setting: Annotated[
        list[str] | None, typer.Option(help="TAGGER_NAME=VALUE for our processes; repeatable.")
    ] = None,
    limit_s: Annotated[float, typer.Option(help="How long a run's last photo may take.")] = 120,
    out: Annotated[Path, typer.Option(help="Where JSON and logs go.")] = FOLDER,
) -> None:
    """Latency of new listings while workers are at a back catalogue, against none.

    The catalogue goes through `tagger produce FILE --backfill`, new listings line by line into
    one long-lived `tagger produce -`. A round is one run without and one with the catalogue, the
    same arrivals in both. Two minutes a round and size, on two cores.
    """
    settings = as_settings(setting or [])
    facts = {
        **machine(),
        "seconds": seconds,
        "warm_up_s": warm_up_s,
        "catalogue": catalogue,
        "settings": settings,
    }
    scenes: list[Scene] = []
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="backfill-")))
        servers = stack.enter_context(Servers(out / "servers"))
        places: list[Place] = []
        for name in photos.chosen(sizes):
            drawn = photos.generated(name, work / name)
            origin = stack.enter_context(Origin(drawn))
            places.append(Place(servers, origin, drawn.paths, out / "logs", settings, limit_s))
            scenes.append(Scene(name, per_s, []))
        for round_ in range(1, rounds + 1):
            for scene, place in zip(scenes, places, strict=True):
                load = Load(per_s, seconds, warm_up_s, even=False, seed=round_)
                alone = measure(load, place, backlog=0)
                scene.pairs.append((alone, measure(load, place, backlog=catalogue)))
                console.print(f"{scene.size}, round {round_} of {rounds}")
    tell(console, [section(scenes)], as_json(scenes, facts), out / "backfill.json")


if __name__ == "__main__":
    main(backfill)
