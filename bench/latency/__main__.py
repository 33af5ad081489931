"""`scripts/bench latency`: from event to tag, while events come at half the full pace."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from bench.command import main
from bench.findings import machine, tell
from bench.latency.report import Scene, as_json, sections
from bench.latency.run import full_pace, measure
from bench.latency.schedule import Load
from bench.place import Place
from bench.running import as_settings
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers

FOLDER: Final = Path(".tagger/bench/latency")
_HALF: Final = 0.5
console = Console(width=150)


def latency(
    *,
    sizes: Annotated[
        str, typer.Option(help=f"Comma-separated: {', '.join(photos.NAMES)}.")
    ] = "thumbnail,mid",
    photos_per_s: Annotated[
        float | None, typer.Option(min=0.1, help="Events a second; else half the full pace.")
    ] = None,
    full: Annotated[
        int, typer.Option(min=1, help="Photos by which the full pace is measured.")
    ] = 10_000,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Of events that count.")] = 30,
    warm_up_s: Annotated[float, typer.Option(min=0, help="Of events before them.")] = 3,
    even: Annotated[
        bool, typer.Option("--even", help="Evenly spaced events; else a Poisson process.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, max=20)] = 3,
    setting: Annotated[
        list[str] | None, typer.Option(help="TAGGER_NAME=VALUE for our processes; repeatable.")
    ] = None,
    limit_s: Annotated[float, typer.Option(help="How long a run's last photo may take.")] = 120,
    out: Annotated[Path, typer.Option(help="Where JSON and logs go.")] = FOLDER,
) -> None:
    """Latency at half load: p50 of 150 ms or less, p99 of 1 s or less.

    Events go line by line into one long-lived `tagger produce -`, which records each batch of
    lines as soon as it is there. About 45 seconds a run.
    """
    settings = as_settings(setting or [])
    facts = {
        **machine(),
        "seconds": seconds,
        "warm_up_s": warm_up_s,
        "arrivals": "even" if even else "poisson",
        "settings": settings,
    }
    scenes: list[Scene] = []
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="latency-")))
        servers = stack.enter_context(Servers(out / "servers"))
        places: list[Place] = []
        for name in photos.chosen(sizes):
            drawn = photos.generated(name, work / name)
            origin = stack.enter_context(Origin(drawn))
            place = Place(servers, origin, drawn.paths, out / "logs", settings, limit_s)
            most = None if photos_per_s else full_pace(place, full)
            if most:
                console.print(f"{name}: {most:.0f} photos/s at most")
            places.append(place)
            scenes.append(Scene(name, most, []))
        for round_ in range(1, rounds + 1):
            for scene, place in zip(scenes, places, strict=True):
                per_s = photos_per_s or _HALF * (scene.full_photos_per_s or 0)
                load = Load(per_s, seconds, warm_up_s, even=even, seed=round_)
                scene.runs.append(measure(load, place))
                console.print(f"{scene.size}, round {round_}: {per_s:.0f} events/s offered")
    how = "evenly spaced" if even else "as a Poisson process"
    tell(console, sections(scenes, how), as_json(scenes, facts), out / "latency.json")


if __name__ == "__main__":
    main(latency)
