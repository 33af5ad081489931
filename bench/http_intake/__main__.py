"""`scripts/bench http_intake`: 100,000 events over HTTP, with and without kills."""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from bench.command import main
from bench.findings import machine, tell
from bench.http_intake.report import as_json, sections
from bench.http_intake.run import Plan, Run, Scene, measure
from bench.place import Place
from bench.running import as_settings
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers

FOLDER: Final = Path(".tagger/bench/http_intake")
console = Console(width=150)


def http_intake(
    *,
    events: Annotated[int, typer.Option(min=1)] = 100_000,
    batch: Annotated[int, typer.Option(min=1, max=500, help="Events of a request.")] = 100,
    connections: Annotated[int, typer.Option(min=1, max=32)] = 8,
    kills: Annotated[int, typer.Option(min=1, help="Of the intake, and of the relay.")] = 5,
    scenes: Annotated[
        list[Scene] | None, typer.Option("--scene", help="Repeatable; all by default.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20)] = 1,
    seed: Annotated[int, typer.Option(help="Chooses when who is killed.")] = 1,
    setting: Annotated[
        list[str] | None, typer.Option(help="TAGGER_NAME=VALUE for our processes; repeatable.")
    ] = None,
    limit_s: Annotated[float, typer.Option(help="How long a run may take to settle.")] = 600,
    out: Annotated[Path, typer.Option(help="Where JSON and logs go.")] = FOLDER,
) -> None:
    """Signed events over HTTP: the rate, and that kills lose and double none.

    Senders are clients of the `cloudevents` and `standardwebhooks` SDKs, which send again what
    was not answered with 202. Exit code 1 if any event was lost or doubled. Three minutes for
    100,000 events, on two cores.
    """
    settings = as_settings(setting or [])
    facts = {**machine(), "events": events, "seed": seed, "settings": settings}
    runs: list[Run] = []
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="http-intake-")))
        servers = stack.enter_context(Servers(out / "servers"))
        drawn = photos.generated("thumbnail", work / "photos")
        origin = stack.enter_context(Origin(drawn))
        place = Place(servers, origin, drawn.paths, out / "logs", settings, limit_s)
        for round_ in range(rounds):
            plan = Plan(events, batch, connections, kills, seed + round_)
            for scene in scenes or Scene:
                run = measure(scene, plan, place)
                console.print(f"round {round_ + 1}, {scene}: {run.events_per_s:.0f} events/s")
                runs.append(run)
    tell(console, sections(runs), as_json(runs, facts), out / "http_intake.json")
    sys.exit(0 if all(run.good for run in runs) else 1)


if __name__ == "__main__":
    main(http_intake)
