"""`scripts/soak`: a steady load with a random fault every so often; then all must be settled."""

import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from bench.command import main
from bench.findings import machine, tell
from bench.running import as_settings
from bench.soak.faults import FAULTS
from bench.soak.load import Load
from bench.soak.report import Injected, Soak, as_json, plot, quiet_s, sections
from bench.soak.verdict import judge
from bench.soak.watch import Watch
from bench.soak.world import STEADY_RELAY, STEADY_WORKER, World
from bench.throughput.servers import Servers
from dev.fleet import Fleet
from dev.listings import photo_files
from dev.origin import Origin
from dev.photos import render_all
from shared.errors import SetupError

FOLDER: Final = Path(".tagger/bench/soak")
#: Short, so that what a fault took is back long before the next one of its kind.
_LEASES: Final = {"TAGGER_WORKING_LEASE_S": "30"}
_PHOTOS: Final = 24
_FINISH_S: Final = 600.0
console = Console(width=140)


def soak(
    *,
    minutes: Annotated[float, typer.Option(min=0.5, help="Of load.")] = 30,
    every_s: Annotated[float, typer.Option(min=5, help="A fault begins so often.")] = 20,
    backlog: Annotated[int, typer.Option(min=1, help="Photos that always wait.")] = 6_000,
    processes: Annotated[int, typer.Option(min=1, help="Tagging workers of each group.")] = 1,
    seed: Annotated[int, typer.Option(help="Chooses the faults.")] = 1,
    setting: Annotated[
        list[str] | None, typer.Option(help="TAGGER_NAME=VALUE for our processes; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where JSON, plot and logs go.")] = FOLDER,
) -> None:
    """Run at full speed while things break; exit code 1 if anything was lost or doubled."""
    print(f"seed: {seed}", flush=True)  # noqa: T201
    facts = {**machine(), "seed": seed, "every_s": every_s, "minutes": minutes}
    with ExitStack() as stack:
        drawn = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        render_all(drawn, count=_PHOTOS)
        servers = stack.enter_context(Servers(out / "servers"))
        origin = stack.enter_context(Origin(drawn))
        urls = stack.enter_context(servers.fresh())
        settings = {
            "TAGGER_ALLOW_PRIVATE_HOSTS": "true",
            "TAGGER_ALLOWED_PORTS": origin.url.rpartition(":")[2],
            "TAGGER_LOG_FORMAT": "json",
            **_LEASES,
            **as_settings(setting or []),
        }
        fleet = stack.enter_context(Fleet(urls, out / "logs", settings))
        chance = random.Random(seed)  # noqa: S311  # chooses faults, guards nothing
        world = World(fleet, servers.services, origin, chance, processes)
        photos = [f"{origin.url}/{photo.path.as_posix()}" for photo in photo_files(drawn)]
        load = Load(fleet, photos, backlog=backlog)
        result = _run(world, load, urls.database_url, minutes * 60, every_s)
    (out / "soak.png").write_bytes(plot(result))
    tell(console, sections(result), as_json(result, facts), out / "soak.json")
    sys.exit(0 if result.verdict.good else 1)


def _run(world: World, load: Load, database_url: str, seconds: float, every_s: float) -> Soak:
    world.start_relay()
    world.start_relay(STEADY_RELAY)
    world.start_worker()
    world.start_worker(STEADY_WORKER)
    watch = Watch(world, load, database_url)
    watch.start()
    load.start()
    faults: list[tuple[float, str, float]] = []
    try:
        next_at = every_s
        while next_at < seconds:
            time.sleep(max(0.0, next_at - watch.now_s))
            fault = world.random.choice(FAULTS)
            began = watch.now_s
            console.print(f"{began:6.0f} s  {load.settled:9,} settled  {fault.__name__}")
            fault(world)
            faults.append((began, fault.__name__.replace("_", " "), watch.now_s - began))
            next_at += every_s
        time.sleep(max(0.0, seconds - watch.now_s))
        load.stop()
        loaded_s = watch.now_s
        _wait_until_settled(load)
        drained_s = watch.now_s - loaded_s
    except BaseException:  # also Ctrl-C and SIGTERM
        load.abandon()
        raise
    finally:
        watch.stop()
    injected = [
        Injected(at_s, fault, lasted_s, quiet_s(watch.progress, at_s, at_s + lasted_s))
        for at_s, fault, lasted_s in faults
    ]
    verdict = judge(database_url, load.published)
    return Soak(
        seconds=loaded_s + drained_s,
        drained_s=drained_s,
        repeated=load.repeated,
        faults=injected,
        looks=watch.looks,
        progress=watch.progress,
        verdict=verdict,
    )


def _wait_until_settled(load: Load) -> None:
    deadline = time.monotonic() + _FINISH_S
    while load.settled < load.published:
        if time.monotonic() > deadline:
            raise SetupError(f"{load.settled} of {load.published} settled after {_FINISH_S:.0f} s")
        time.sleep(1)


if __name__ == "__main__":
    main(soak)
