"""`scripts/bench hanging`: the same photos from the same hosts, clean and with some that hang."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from bench.command import main
from bench.findings import machine, tell
from bench.hanging.report import as_json, sections
from bench.hanging.run import Kind, Run, measure
from bench.hanging.urls import hanging_places, photo_urls
from bench.running import as_settings
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers

FOLDER: Final = Path(".tagger/bench/hanging")
#: How much longer the slow lane waits than a photo hangs.
_PATIENCE_S: Final = 5.0
console = Console(width=140)


def hanging(
    *,
    photos_count: Annotated[int, typer.Option(min=1, help="Photos of a run.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, max=20)] = 3,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of each host's URLs hang.")] = 0.05,
    hang_s: Annotated[
        float, typer.Option(min=0.1, max=300, help="How long: then they are answered.")
    ] = 30,
    hosts: Annotated[int, typer.Option(min=1, max=254, help="127.0.0.1, 127.0.0.2, ...")] = 20,
    slow_deadline_s: Annotated[
        float | None,
        typer.Option(help="Of the slow lane: 5 s more than they hang, or less to see them fail."),
    ] = None,
    max_attempts: Annotated[int, typer.Option(min=2, help="Of a photo.")] = 3,
    size: Annotated[str, typer.Option(help=f"One of {', '.join(photos.NAMES)}.")] = "mid",
    setting: Annotated[
        list[str] | None, typer.Option(help="TAGGER_NAME=VALUE for our processes; repeatable.")
    ] = None,
    limit_s: Annotated[float, typer.Option(help="A run that takes longer is given up.")] = 1200,
    out: Annotated[Path, typer.Option(help="Where JSON and logs go.")] = FOLDER,
) -> None:
    """The pace of healthy photos with and without hanging ones; the aim is 0.90 or more.

    The pace is that of the healthy photos; what becomes of the hanging ones is told apart.
    """
    [name] = photos.chosen(size)
    settings = {
        "TAGGER_SLOW_FETCH_DEADLINE_S": str(slow_deadline_s or hang_s + _PATIENCE_S),
        "TAGGER_MAX_ATTEMPTS": str(max_attempts),
        **as_settings(setting or []),
    }
    facts = {
        **machine(),
        "photos": photos_count,
        "size": name,
        "hosts": hosts,
        "share": share,
        "hang_s": hang_s,
        "settings": settings,
    }
    runs: list[Run] = []
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hanging-")))
        drawn = photos.generated(name, work)
        servers = stack.enter_context(Servers(out / "servers"))
        origin = stack.enter_context(Origin(drawn, hang_ms=round(hang_s * 1000), hosts=hosts))
        for kind, round_ in _turns(rounds):
            chosen = hanging_places(photos_count, hosts, share if kind == "hanging" else 0, round_)
            run = measure(
                kind,
                photo_urls(origin.urls, drawn.paths(photos_count), chosen),
                servers=servers,
                origin=origin,
                folder=out / "logs",
                settings=settings,
                limit_s=limit_s,
            )
            console.print(f"round {round_}, {kind}: {run.healthy_photos_per_s:.0f} photos/s")
            runs.append(run)
    tell(console, sections(runs, settings), as_json(runs, facts), out / "hanging.json")


def _turns(rounds: int) -> Iterator[tuple[Kind, int]]:
    """Both kinds in every round, each first in every second one."""
    kinds: tuple[Kind, Kind] = ("clean", "hanging")
    for round_ in range(1, rounds + 1):
        for kind in kinds if round_ % 2 else reversed(kinds):
            yield kind, round_


if __name__ == "__main__":
    main(hanging)
