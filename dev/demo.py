"""The main job on one machine, from listing events to tags: what `scripts/demo` runs."""

import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import Engine, create_engine, text

from dev.contact_sheet import Entry, write_sheet
from dev.fleet import Fleet
from dev.listings import PhotoFile, photo_files, printable, write_events
from dev.origin import Origin
from dev.photos import render_all
from dev.services import Services
from shared.db.session import sqlalchemy_url
from shared.errors import SetupError, TaggerError

#: A folder of its own, made afresh each time.
FOLDER = Path(".tagger/demo")
_SHOWN = 80
_RELATED_SHOWN = 3
_ON_SHEET = 500
_STUCK_S = 300.0

console = Console(width=None if sys.stdout.isatty() else 150)


def demo(
    photos: Annotated[
        Path | None, typer.Option(help="A folder of your own photos instead of rendered ones.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many photos.")] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Tagging processes; one a core by default.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the servers and their data for a look around.")
    ] = False,
) -> None:
    """Publish listings with photos, tag them, and show what came out."""
    shutil.rmtree(FOLDER / "logs", ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    services = Services(FOLDER / "servers", environment={})  # never somebody's database
    services.down(delete=True)  # what an earlier demo left
    try:
        with console.status("Starting Postgres and Valkey ..."):
            urls = services.up()
        folder = photos or _rendered(limit)
        files = photo_files(folder, limit)
        with Origin(folder) as origin:
            settings = {
                # The photos are on this machine, which workers otherwise refuse to talk to.
                "TAGGER_ALLOW_PRIVATE_HOSTS": "true",
                "TAGGER_ALLOWED_PORTS": origin.url.rpartition(":")[2],
            }
            with Fleet(urls, FOLDER / "logs", settings) as fleet:
                engine = create_engine(sqlalchemy_url(urls.database_url))
                _tag(fleet, engine, files, origin.url, processes)
                result = _result(engine)
                _show(fleet, files, folder, result)
                codes = fleet.stop()
                engine.dispose()
        if any(codes.values()):
            raise SetupError(f"a process did not stop cleanly: {codes}; see {FOLDER / 'logs'}")
    finally:
        if not keep:
            services.down(delete=True)
    if keep:
        servers = FOLDER / "servers"
        console.print(
            "The servers still run. To use them from this shell, and to stop them:\n"
            f'  eval "$(.venv/bin/tagger dev up --print-env --folder {servers})"\n'
            f"  .venv/bin/tagger dev down --delete --folder {servers}",
            soft_wrap=True,
            highlight=False,
        )
    else:
        console.print("Everything has stopped.")


def _rendered(limit: int | None) -> Path:
    folder = FOLDER / "photos"
    shutil.rmtree(folder, ignore_errors=True)
    with Progress(
        TextColumn("rendering sample photos"), BarColumn(), MofNCompleteColumn(), console=console
    ) as progress:
        bar = progress.add_task("")
        render_all(
            folder,
            **({} if limit is None else {"count": limit}),
            on_done=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    return folder


def _tag(
    fleet: Fleet, engine: Engine, files: list[PhotoFile], origin: str, processes: int | None
) -> None:
    """Publishes the photos and waits until each is settled."""
    _run(fleet, "migrate")
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", *(["--processes", str(processes)] if processes else []))
    _wait_for_model(fleet, engine)
    published = FOLDER / "events.jsonl"
    write_events(files, origin, published)
    console.print(f"Publishing {len(files)} listings: tagger produce {published}")
    _run(fleet, "produce", str(published.resolve()))
    with Progress(
        TextColumn("tagging"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        bar = progress.add_task("", total=len(files))
        settled, moved = 0, time.monotonic()
        while settled < len(files):
            time.sleep(0.1)
            now_settled = _query(
                engine, "SELECT count(*) AS n FROM photo WHERE status IN ('tagged', 'failed')"
            )[0].n
            if now_settled > settled:
                settled, moved = now_settled, time.monotonic()
            progress.update(bar, completed=settled)
            _check_alive(fleet)
            if time.monotonic() - moved > _STUCK_S:
                raise SetupError(f"nothing moves any more; see {fleet.folder}")


@dataclass(frozen=True, slots=True)
class _Result:
    photos: list[Any]
    statuses: list[Any]
    seconds: float
    feed: int


def _result(engine: Engine) -> _Result:
    photos = _query(
        engine,
        """
        SELECT listing.external_id, photo.status, error_code,
            coalesce((SELECT json_agg(json_build_array(name, score) ORDER BY rank)
                FROM photo_tag JOIN tag ON tag.id = tag_id
                WHERE photo_id = photo.id), '[]') AS tags,
            coalesce((SELECT json_agg(json_build_array(name, score) ORDER BY rank)
                FROM related_tag JOIN tag ON tag.id = tag_id
                WHERE related_tag.listing_id = listing.id), '[]') AS related
        FROM photo JOIN listing ON listing.id = listing_id ORDER BY external_id
        """,
    )
    statuses = _query(
        engine,
        """SELECT status, error_code, count(*) AS n FROM photo
        GROUP BY 1, 2 ORDER BY n DESC""",
    )
    [times] = _query(
        engine,
        """SELECT extract(epoch FROM max(finished_at) - min(created_at))::float AS seconds,
            (SELECT position FROM feed_head) AS feed FROM photo""",
    )
    return _Result(photos, statuses, times.seconds, times.feed)


def _show(fleet: Fleet, files: list[PhotoFile], folder: Path, result: _Result) -> None:
    table = Table("photo", "tags", f"related tags (the first {_RELATED_SHOWN})")
    for file, photo in list(zip(files, result.photos, strict=True))[:_SHOWN]:
        table.add_row(
            _name(file),
            _words(photo.tags) if not photo.error_code else f"[red]{photo.error_code}[/]",
            f"[dim]{_words(photo.related[:_RELATED_SHOWN])}[/]",
        )
    console.print(table)
    if len(files) > _SHOWN:
        console.print(f"... and {len(files) - _SHOWN} more.")
    for status in result.statuses:
        console.print(f"{status.n:6} {status.status} {status.error_code or ''}")
    rate = len(files) / result.seconds
    facts = (
        f"{len(files)} photos in {result.seconds:.1f} s from the first event to the last tag: "
        f"{rate:.0f} photos/s"
    )
    console.print(facts, highlight=False)
    _compare(files, result)
    console.print(f"The search feed has {result.feed} documents; the first one:")
    console.print(_run(fleet, "feed", "--limit", "1").strip(), markup=False, soft_wrap=True)
    sheet = FOLDER / "contact_sheet.html"
    entries = [
        Entry(folder / file.path, file.title, photo.tags, photo.related, photo.error_code)
        for file, photo in list(zip(files, result.photos, strict=True))[:_ON_SHEET]
    ]
    write_sheet(sheet, "Listing photos and their tags", facts, entries)
    shown = f" (the first {_ON_SHEET} photos)" if len(files) > _ON_SHEET else ""
    console.print(f"Contact sheet{shown}: {sheet.resolve()}", soft_wrap=True, highlight=False)


def _compare(files: list[PhotoFile], result: _Result) -> None:
    """Says how far the tags agree with what the photos show, where that is known."""
    pairs = [
        (frozenset(tag for tag, _ in photo.tags), file.true_tags)
        for file, photo in zip(files, result.photos, strict=True)
        if file.true_tags
    ]
    if not pairs:
        return
    agreement = sum(len(found & true) / len(found | true) for found, true in pairs) / len(pairs)
    exact = sum(found == true for found, true in pairs)
    console.print(
        f"Compared with what was rendered: Hamming score {agreement:.2f}, "
        f"{exact} of {len(pairs)} exactly right",
        highlight=False,
    )


def _name(file: PhotoFile) -> str:
    """The photo's path and title, as console markup."""
    path, title = escape(printable(str(file.path))), escape(file.title)
    return path if title == escape(printable(file.path.stem)) else f"{path}\n[dim]{title}[/]"


def _words(tags: list[tuple[str, float]]) -> str:
    return ", ".join(f"{tag} {score:.2f}" for tag, score in tags) or "-"


def _wait_for_model(fleet: Fleet, engine: Engine) -> None:
    with console.status("Starting the relay and the workers ..."):
        deadline = time.monotonic() + _STUCK_S
        while not _query(engine, "SELECT 1 FROM model WHERE status = 'champion'"):
            _check_alive(fleet)
            if time.monotonic() > deadline:
                raise SetupError(f"no worker is ready; see {fleet.folder / 'worker.log'}")
            time.sleep(0.1)


def _check_alive(fleet: Fleet) -> None:
    for name in ("relay", "worker"):
        if fleet.exit_code(name) is not None:
            last = fleet.log(name).strip().splitlines()[-5:]
            raise SetupError(f"the {name} has stopped: {' | '.join(last)}")


def _run(fleet: Fleet, *arguments: str) -> str:
    done = fleet.run(*arguments)
    if done.returncode:
        raise SetupError(f"tagger {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout.decode()


def _query(engine: Engine, query: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(query)))


def main() -> None:
    """Runs the demo; a failure is one clear line."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(demo)
    # As an exception, so that everything that was started is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
    try:
        app(prog_name="scripts/demo")
    except TaggerError as error:
        Console(stderr=True).print(
            f"{error.code}: {error}", style="red", markup=False, soft_wrap=True
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
