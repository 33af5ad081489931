"""The limit: what photos cannot do without, each stage by itself and bare.

Fetching is libcurl without a check, decoding OpenCV without a look at the header, storing a COPY
of the rows that our run ended with into the same tables, without events, leases and foreign
keys. Every core does the same at the same time, so that what cores share is shared here too. The
limit in photos a second is the number of cores over the CPU of a photo in all stages.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.throughput.child import Child
from bench.throughput.contest import LIMIT_S, Stage
from bench.throughput.cpu import cpu_seconds
from bench.throughput.stages import STAGES


@dataclass(frozen=True, slots=True)
class Limit:
    """What a photo cannot do without, in microseconds of CPU by stage."""

    us_per_photo: Mapping[str, float]
    cores: int

    @property
    def photos_per_s(self) -> float:
        """What the cores could do if they did nothing else."""
        return self.cores * 1e6 / sum(self.us_per_photo.values())


def measure_limit(stage: Stage, files: Sequence[Path], counts: Mapping[str, int]) -> Limit:
    """Measures every stage on every core.

    Args:
        stage: where; as for contestants.
        files: photos on disk, those that the origin serves.
        counts: how many photos each stage works on, on each core; storing takes those that our
            last run left.
    """
    servers = {
        "fetch": ("origin", stage.origin.pid),
        "store": ("Postgres", stage.servers.pids["postgres"]),
    }
    found: dict[str, float] = {}
    with stage.servers.fresh() as urls, ExitStack() as stack:
        job = {
            "counts": dict(counts),
            "cores": stage.cores,
            "rows": str(stage.rows.resolve()),
            "model": str(stage.model.resolve()),
            "trusted": str(stage.trusted.resolve()) if stage.trusted else None,
            "database": urls.database_url,
            "files": [str(file.resolve()) for file in files],
            "urls": stage.urls(counts["fetch"]),
        }
        children = [stack.enter_context(_child(stage, job, core)) for core in range(stage.cores)]
        for child in children:
            child.until_ready()
        for name in STAGES:
            server, pid = servers.get(name, ("", 0))
            own_us, server_us = _at_once(children, pid)
            found[name] = own_us
            if server:
                found[f"{name}: {server}"] = server_us
    return Limit(found, stage.cores)


def _child(stage: Stage, job: Mapping[str, Any], core: int) -> Child:
    file = stage.folder / f"job-{core}.json"
    file.touch(mode=0o600)  # it holds a password
    file.write_text(json.dumps({**job, "core": core}))
    return Child(
        [sys.executable, "-m", "bench.throughput.stages", str(file.resolve())],
        log=stage.folder / "log",
        environment=stage.environment,
        limit_s=LIMIT_S,
    )


def _at_once(children: Sequence[Child], server: int) -> tuple[float, float]:
    """CPU of a photo in microseconds: the next stage's own, and that of the server it talks to."""
    before = cpu_seconds({"": server})[""]
    for child in children:
        child.work()
    told = [child.result() for child in children]
    spent = cpu_seconds({"": server})[""] - before
    photos = sum(int(one["photos"]) for one in told)
    return sum(float(one["cpu_s"]) for one in told) / photos * 1e6, spent / photos * 1e6
