"""Prepares generated catalogues of growing size and measures rows/s and memory.

`scripts/bench prepare` runs `tagger dataset prepare` in a process of its own on 50,000, 500,000
and 5,000,000 photo URLs. Time should grow with the rows, memory should not.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.catalogue import write_catalogue

SIZES = (50_000, 500_000, 5_000_000)
console = Console(width=120)


def prepare(
    sizes: Annotated[
        list[int] | None, typer.Option(min=10, help="Photo URLs; may be repeated.")
    ] = None,
    memory_mb: Annotated[int, typer.Option(min=100)] = 400,
    folder: Annotated[Path | None, typer.Option(help="Where the files are made.")] = None,
    out: Annotated[Path, typer.Option(help="Where the JSON goes.")] = Path(
        ".tagger/bench/prepare.json"
    ),
) -> None:
    """Measure rows/s and the largest resident set of `tagger dataset prepare`."""
    measured = [_measure(size, memory_mb, folder) for size in sizes or SIZES]
    table = Table("URLs", "rows", "products", "photos", "seconds", "rows/s", "URLs/s", "peak MB")
    for one in measured:
        table.add_row(
            *(f"{one[name]:,}" for name in ("urls", "rows", "products", "photos")),
            f"{one['seconds']:.1f}",
            f"{one['rows'] / one['seconds']:,.0f}",
            f"{one['urls'] / one['seconds']:,.0f}",
            f"{one['peak_mb']:.0f}",
        )
    console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"cores": os.cpu_count(), "runs": measured}, indent=1) + "\n")


def _measure(urls: int, memory_mb: int, folder: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        files = write_catalogue(work, urls)
        words = ["--metadata", files.metadata, "--reviews", files.reviews, "--out", work / "out"]
        command = [sys.executable, "tagger.py", "dataset", "prepare", *map(str, words)]
        started = time.monotonic()
        child = subprocess.Popen(
            [*command, "--memory-mb", str(memory_mb)], stdout=subprocess.DEVNULL
        )
        # wait4 tells the resources of this child alone.
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"tagger dataset prepare ended with {child.returncode}")
        report = json.loads((work / "out/report.json").read_text())
        return {
            "urls": files.urls,
            "rows": files.rows,
            "products": report["products"],
            "photos": report["photos"],
            "seconds": seconds,
            "peak_mb": used.ru_maxrss / 1024,
            "input_mb": (files.metadata.stat().st_size + files.reviews.stat().st_size) / 1e6,
        }


if __name__ == "__main__":
    typer.run(prepare)
