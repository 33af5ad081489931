"""img2dataset, the usual tool for downloading photos by the million: download and resize only.

It neither queues nor tags nor stores. It is no dependency of ours: it is used where it is
importable, or installed into an environment that is thrown away.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from bench.throughput.child import Child
from bench.throughput.contest import LIMIT_S, Contestant, Measured, Stage
from bench.throughput.cpu import Usage, measuring
from bench.throughput.paper_way import SIDE
from shared.errors import SetupError

_INSTALL_S: Final = 300.0
_THREADS: Final = 32  # in a process; more of them gain nothing from an origin on loopback
_SHARDS: Final = 2  # a process; it starts a new process after five


def installed(folder: Path) -> Path | None:
    """The `img2dataset` command, installed into `folder` if need be; None where that fails."""
    ours = Path(sys.executable).parent / "img2dataset"
    if find_spec("img2dataset") and ours.exists():
        return ours
    uv = shutil.which("uv") or shutil.which("uv", path=".uv/bin")
    if uv is None:
        return None
    python = folder / "bin/python"
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(python), "img2dataset"],
    ):
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_S)
        except (subprocess.SubprocessError, OSError):
            return None
    command = folder / "bin/img2dataset"
    return command if command.exists() else None


def img2dataset(command: Path) -> Contestant:
    """The contestant that runs this command."""

    def work(stage: Stage, count: int) -> Measured:
        shards = _SHARDS * stage.cores
        # It offers no way to start before the work does, so a run over next to nothing tells
        # what starting costs.
        idle, _ = _run(command, stage, shards, folder=stage.folder / "idle")
        usage, shards_told = _run(command, stage, count, folder=stage.folder / "full")
        seconds = max(told["end_time"] for told in shards_told) - min(
            told["start_time"] for told in shards_told
        )
        usage.cpu_s["worker"] = max(0.0, usage.cpu_s["worker"] - idle.cpu_s["worker"])
        done = sum(int(told["successes"]) for told in shards_told)
        return Measured.of(count, count - done, seconds, usage)

    return work


def _run(
    command: Path, stage: Stage, count: int, *, folder: Path
) -> tuple[Usage, list[dict[str, Any]]]:
    """What it took in all, and what it tells of each shard."""
    folder.mkdir()
    urls = folder / "urls.txt"
    urls.write_text("\n".join(stage.urls(count)))
    child = Child(
        [
            str(command),
            f"--url_list={urls.resolve()}",
            f"--output_folder={(folder / 'out').resolve()}",
            f"--image_size={SIDE}",
            "--resize_mode=keep_ratio",
            "--output_format=dummy",  # nothing is written, so that it does what we compare
            "--compute_hash=None",
            "--extract_exif=False",
            f"--processes_count={stage.cores}",
            f"--thread_count={_THREADS}",
            f"--number_sample_per_shard={-(-count // (_SHARDS * stage.cores))}",
        ],
        log=folder / "log",
        environment={**stage.environment, "NO_ALBUMENTATIONS_UPDATE": "1", "TMPDIR": _tmp(folder)},
        limit_s=LIMIT_S,
    )
    roots: dict[str, int] = {"origin": stage.origin.pid}
    with child:
        roots["worker"] = child.pid
        with measuring(roots, memory_of="worker") as usage:
            code = child.feed("")
    told = [json.loads(file.read_text()) for file in sorted((folder / "out").glob("*_stats.json"))]
    if code or not told:
        raise SetupError(f"img2dataset: exit code {code}; see {folder / 'log'}")
    return usage, told


def _tmp(folder: Path) -> str:
    """A folder for its temporary files, short enough for the sockets it makes there."""
    made = folder / "tmp"
    made.mkdir(exist_ok=True)
    return str(made.resolve()) if len(os.fsencode(made.resolve())) < 60 else "/tmp"  # noqa: S108
