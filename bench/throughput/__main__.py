"""`scripts/bench throughput`: the command, and where its findings go."""

import itertools
import json
import platform
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.running import as_settings
from bench.throughput import photos, plot, report
from bench.throughput.certificate import make_certificate
from bench.throughput.contest import Contestant, cores
from bench.throughput.img2dataset_ import img2dataset, installed
from bench.throughput.naive_celery import naive_celery
from bench.throughput.network import exported
from bench.throughput.ours import ours
from bench.throughput.paper_way import paper_way
from bench.throughput.photos import PhotoSet
from bench.throughput.rounds import NAMES, Manner, Terms, play
from bench.throughput.scene import Scene
from bench.throughput.servers import Servers
from shared.errors import SetupError

FOLDER = Path(".tagger/bench/throughput")
console = Console(width=140)


def throughput(
    *,
    sizes: Annotated[
        str, typer.Option(help=f"Generated photos, comma-separated: {', '.join(photos.NAMES)}.")
    ] = ",".join(photos.NAMES),
    rounds: Annotated[int, typer.Option(min=1, max=20)] = 3,
    photos_dir: Annotated[Path | None, typer.Option(help="A folder of real photos, too.")] = None,
    out: Annotated[Path, typer.Option(help="Where table, JSON and plot go.")] = FOLDER,
    contestants: Annotated[
        str, typer.Option(help=f"Comma-separated: {', '.join(NAMES)}.")
    ] = ",".join(NAMES),
    https: Annotated[
        bool, typer.Option("--https", help="Each kind of photos from an HTTPS origin, too.")
    ] = False,
    latency_ms: Annotated[
        int, typer.Option(min=0, max=5000, help="And from one that answers so much later.")
    ] = 0,
    most: Annotated[
        int, typer.Option(min=0, help="No round of more photos than this, for a quick look.")
    ] = 0,
    times: Annotated[
        int, typer.Option(min=1, max=100, help="As many photos a round, to see memory grow.")
    ] = 1,
    limit: Annotated[
        bool, typer.Option(help="Measure what is possible, too, where we take part.")
    ] = True,
    photos_per_listing: Annotated[
        int, typer.Option(min=1, max=100, help="Of our listings; one is the most work a photo.")
    ] = 1,
    model: Annotated[
        Path | None, typer.Option(help="Serve this artifact instead of the paper's vanilla CNN.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="TAGGER_NAME=VALUE for our processes; repeatable.")
    ] = None,
) -> None:
    """Photos a second, CPU and memory: ours, the paper's way, naive Celery, img2dataset.

    About two minutes for each kind of photos in each round, on two cores.
    """
    names = photos.chosen(sizes)
    settings = as_settings(setting or [])
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="throughput-")))
        field = _field(contestants, work)
        sets = [photos.generated(name, work / name) for name in names]
        if photos_dir is not None:
            sets.append(photos.real(photos_dir))
        if not sets:
            raise SetupError("no photos: name --sizes or a --photos-dir")
        manners = [Manner()]
        if https:
            manners.append(Manner(certificate=make_certificate(work / "tls")))
        if latency_ms:
            manners.append(Manner(latency_ms))
        terms = Terms(
            servers=stack.enter_context(Servers(out / "servers")),
            model=model or exported(work / "model", _sample(sets)),
            folder=out / "logs",
            rows=work / "rows",
            rounds=rounds,
            most=most,
            times=times,
            limit=limit,
            settings=settings,
            photos_per_listing=photos_per_listing,
        )
        scenes: list[Scene] = []
        for one in sets:
            scenes += play(one, manners, field, terms, console.print)
            _write(out, scenes, rounds)  # a run that is interrupted was not for nothing
    for section in report.sections(scenes):
        section.show(console)


def _sample(sets: list[PhotoSet]) -> list[Path]:
    """A few photos of each set, in turn."""
    columns = [[one.folder / file for file in one.files] for one in sets]
    return [file for row in itertools.zip_longest(*columns) for file in row if file]


def _field(contestants: str, work: Path) -> dict[str, Contestant]:
    asked = [name.strip() for name in contestants.split(",") if name.strip()]
    if unknown := set(asked) - set(NAMES):
        raise SetupError(f"no contestant is called {', '.join(sorted(unknown))}")
    known: dict[str, Contestant] = {"ours": ours, "paper": paper_way, "naive": naive_celery}
    if "img2dataset" in asked:
        command = installed(work / "img2dataset")
        if command is None:
            console.print("img2dataset cannot be installed here and is left out")
            asked.remove("img2dataset")
        else:
            known["img2dataset"] = img2dataset(command)
    return {name: known[name] for name in asked}


def _write(out: Path, scenes: list[Scene], rounds: int) -> None:
    """Table, JSON and plot of what there is so far."""
    facts = {"cores": cores(), "machine": platform.processor() or platform.machine()}
    found = report.as_json(scenes, {**facts, "rounds": rounds})
    (out / "throughput.json").write_text(json.dumps(found, indent=1) + "\n")
    tables = "\n".join(section.markdown() for section in report.sections(scenes))
    page = f"# Throughput\n\n{rounds} rounds on {cores()} cores.\n\n![bars](throughput.png)\n\n"
    (out / "throughput.md").write_text(page + tables)
    (out / "throughput.png").write_bytes(plot.bars(scenes))


if __name__ == "__main__":
    try:
        typer.run(throughput)
    except SetupError as error:
        raise SystemExit(str(error)) from None
