"""`scripts/bench decode`: what decoding costs each way, and what the short cuts change.

`scripts/bench decode --photos DIR --limit 500` times generated photos and compares real ones.
"""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.decode.parity import Parity, parities
from bench.decode.speed import Speed, speeds
from bench.decode.ways import WAYS
from bench.findings import machine, tell
from bench.sections import Section
from bench.throughput import photos as generated
from dev.listings import photo_files
from shared.errors import SetupError
from shared.settings import DEFAULT_MODEL
from worker.decode.pixels import configure
from worker.model.artifact import load

SIDES = (35, 48)
console = Console(width=140)


def decode(
    *,
    photos: Annotated[Path | None, typer.Option(help="A folder of real photos.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="No more of them than this.")] = 500,
    enlarge: Annotated[
        float, typer.Option(min=1, max=8, help="Make them so many times larger, and grainy.")
    ] = 1,
    sizes: Annotated[
        str, typer.Option(help=f"Generated photos: {', '.join(generated.NAMES)}.")
    ] = ",".join(generated.NAMES),
    rounds: Annotated[int, typer.Option(min=1)] = 7,
    model: Annotated[Path, typer.Option(help="The artifact whose tags are compared.")] = (
        DEFAULT_MODEL
    ),
    out: Annotated[Path, typer.Option(help="Where the JSON goes.")] = Path(
        ".tagger/bench/decode.json"
    ),
) -> None:
    """Microseconds a photo; pixels, scores and tags of a full decode against the short cuts."""
    configure()
    found = {**machine(), "rounds": rounds, "model": str(model), "enlarge": enlarge}
    with tempfile.TemporaryDirectory(prefix="decode-") as folder:
        speed = speeds(generated.chosen(sizes), SIDES, Path(folder), rounds)
    tables = [speed_table(speed)]
    parity: list[Parity] = []
    if photos is not None:
        files = photo_files(photos)
        # Every so many of them: a folder inside may hold photos of one kind.
        bodies = ((photos / one.path).read_bytes() for one in files[:: -(-len(files) // limit)])
        parity = parities(bodies, load(model), enlarge)
        tables.append(parity_table(parity))
    found |= {"speed": [asdict(one) for one in speed], "parity": [asdict(one) for one in parity]}
    tell(console, tables, found, out)


def speed_table(found: list[Speed]) -> Section:
    """What a photo costs."""
    head = ("photos", "input", "decoded at", "bytes", "given to the decoder")
    rows = [
        (
            *(one.photos, f"{one.side}x{one.side}", f"1/{one.scale}"),
            *(f"{one.mean_bytes:,.0f}", f"{one.given:.0%}"),
            *(f"{one.us[way]:,.0f}" for way in WAYS),
        )
        for one in found
    ]
    note = "Microseconds a photo on one core, from bytes to pixels; the median of rounds."
    return Section("Speed", note, (*head, *(f"{way}, us" for way in WAYS)), rows)


def parity_table(found: list[Parity]) -> Section:
    """What changes."""
    head = (
        *("decoded at", "photos", "file", "compared", "pixels"),
        *("photos of equal tags", "equal decisions", "median score"),
    )
    rows = [
        (
            *(f"1/{one.scale}", one.photos, one.file, f"{one.way} to {one.other}"),
            f"{one.pixels:.3f}",
            *(f"{one.equal_photos:.1%}", f"{one.equal_decisions:.2%}", f"{one.median_score:.4f}"),
        )
        for one in found
    ]
    note = (
        "Mean absolute difference of pixels in levels, and the median one of scores. A decision "
        "is one tag of one photo. Noise is one level in 1 % of the values."
    )
    return Section("What changes", note, head, rows)


if __name__ == "__main__":
    try:
        typer.run(decode)
    except SetupError as error:
        raise SystemExit(str(error)) from None
