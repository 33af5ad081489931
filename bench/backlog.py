"""Tags a folder of photos end to end and measures it; with --kill, SIGKILLs the workers once.

`scripts/bench backlog --photos DIR --limit 5000` runs what `scripts/demo` runs, without its
pictures: a loopback origin, Postgres, Valkey, relay and workers, all on this machine.
"""

import json
import os
import shutil
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text

from bench.command import main
from dev.fleet import Fleet
from dev.listings import PhotoFile, photo_files, write_events
from dev.origin import Origin
from dev.processes import children
from dev.services import Services
from shared.db.session import sqlalchemy_url
from shared.errors import SetupError

FOLDER = Path(".tagger/bench/backlog")
_STUCK_S = 300.0
console = Console(width=120)


def backlog(
    photos: Annotated[Path, typer.Option(help="A folder of photos.")],
    limit: Annotated[int, typer.Option(min=1)] = 5000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    kill: Annotated[
        bool, typer.Option("--kill", help="SIGKILL the workers once, in the middle.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where JSON, logs and servers go.")] = FOLDER,
) -> None:
    """Measure photos/s from the first event to the last tag."""
    files = photo_files(photos, limit)
    measured = [_round(photos, files, out, kill=kill) for _ in range(rounds)]
    table = Table("round", "photos", "photos/s", "seconds", "largest worker MB", "by status")
    for number, one in enumerate(measured, start=1):
        table.add_row(
            str(number),
            str(len(files)),
            f"{one['photos_per_s']:.0f}",
            f"{one['seconds']:.1f}",
            f"{one['largest_worker_mb']:.0f}",
            ", ".join(f"{n} {name}" for name, n in one["by_status"].items()),
        )
    console.print(table)
    median = statistics.median(one["photos_per_s"] for one in measured)
    console.print(f"median {median:.0f} photos/s on {os.cpu_count()} cores; top tags:")
    for name, count in measured[-1]["top_tags"].items():
        console.print(f"{count:7} {name}")
    (out / "backlog.json").write_text(
        json.dumps({"median_photos_per_s": median, "rounds": measured}, indent=1)
    )


def _round(photos: Path, files: list[PhotoFile], out: Path, *, kill: bool) -> dict[str, Any]:
    shutil.rmtree(out / "logs", ignore_errors=True)
    services = Services(out / "servers", environment={})
    services.down(delete=True)
    with ExitStack() as stack:
        urls = services.up()
        stack.callback(services.down, delete=True)
        origin = stack.enter_context(Origin(photos))
        settings = {
            "TAGGER_ALLOW_PRIVATE_HOSTS": "true",
            "TAGGER_ALLOWED_PORTS": origin.url.rpartition(":")[2],
            "TAGGER_LOG_FORMAT": "json",
        }
        if kill:
            settings["TAGGER_WORKING_LEASE_S"] = "10"
        fleet = stack.enter_context(Fleet(urls, out / "logs", settings))
        engine = create_engine(sqlalchemy_url(urls.database_url))
        stack.callback(engine.dispose)
        _must(fleet, "migrate")
        fleet.start("relay", "relay")
        fleet.start("worker", "worker")
        _wait(engine, "SELECT count(*) FROM model", 1)
        write_events(files, origin.url, out / "events.jsonl")
        _must(fleet, "produce", str((out / "events.jsonl").resolve()))
        settled = "SELECT count(*) FROM photo WHERE status IN ('tagged', 'failed')"
        if kill:
            _wait(engine, settled, len(files) // 3)
            fleet.kill("worker")
            fleet.start("worker", "worker")
        _wait(engine, settled, len(files))
        return {**_facts(engine), "largest_worker_mb": _largest_worker_mb(fleet)}


def _facts(engine: Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        [(seconds, photos, crashes, feed)] = connection.execute(
            text("""
                SELECT extract(epoch FROM max(finished_at) - min(created_at))::float, count(*),
                    sum(crashes), (SELECT position FROM feed_head) FROM photo
            """)
        )
        statuses = connection.execute(
            text("""
                SELECT concat_ws(' ', status, error_code), count(*) FROM photo
                GROUP BY 1 ORDER BY 2 DESC
            """)
        )
        tags = connection.execute(
            text("""
                SELECT name, count(*) FROM photo_tag JOIN tag ON tag.id = tag_id
                GROUP BY 1 ORDER BY 2 DESC LIMIT 8
            """)
        )
        return {
            "seconds": seconds,
            "photos_per_s": photos / seconds,
            "crashes": crashes,
            "feed": feed,
            "by_status": {row[0]: row[1] for row in statuses},
            "top_tags": {row[0]: row[1] for row in tags},
        }


def _largest_worker_mb(fleet: Fleet) -> float:
    """The largest resident set of a worker process so far, in MB."""
    peaks = [
        int(line.split()[1]) / 1024
        for pid in children(fleet.pid("worker"))
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return max(peaks, default=0.0)


def _must(fleet: Fleet, *arguments: str) -> None:
    done = fleet.run(*arguments, timeout_s=600)
    if done.returncode:
        raise SetupError(f"tagger {arguments[0]}: {done.stderr.decode()}")


def _wait(engine: Engine, query: str, count: int) -> None:
    deadline = time.monotonic() + _STUCK_S
    while True:
        with engine.connect() as connection:
            if connection.execute(text(query)).scalar_one() >= count:
                return
        if time.monotonic() > deadline:
            raise SetupError("nothing moves any more: the logs say more")
        time.sleep(0.05)


if __name__ == "__main__":
    main(backlog)
