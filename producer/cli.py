"""`tagger produce`, `tagger intake` and `tagger relay`."""

import os
import secrets
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from producer.catalogue import csv_lines, parquet_lines
from producer.events import MAX_AHEAD
from producer.intake import Counts, Intake
from producer.lines import Line, batches, read_lines
from producer.relay import Relay
from producer.stream import StreamIntake
from shared import logs
from shared.db.session import make_engine
from shared.domain.photo import Lane
from shared.errors import SetupError
from shared.extras import needing_extra
from shared.settings import load_settings
from shared.supervisor import EXIT_SETUP, Supervisor

intake_commands = typer.Typer(
    help="Take listing events from where they come in, until stopped.", no_args_is_help=True
)

#: Exit code when some events were rejected; the others are recorded.
EXIT_REJECTED = 3


class Format(StrEnum):
    """How a file holds events."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def produce(
    file: Annotated[
        str,
        typer.Argument(help="Events, one JSON a line, or listings in CSV or Parquet; - is stdin"),
    ],
    backfill: Annotated[
        bool, typer.Option("--backfill", help="Queue the photos behind all new ones.")
    ] = False,
    form: Annotated[
        Format | None, typer.Option("--format", help="By the file's name otherwise, or jsonl.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When listings were as a CSV or Parquet file has them, where no column says so.",
        ),
    ] = None,
) -> None:
    """Record listing events. Safe to repeat: what is known already changes nothing.

    Exit code 0: every line was recorded or known. 3: some lines were rejected and stand in the
    table rejected_event with their reasons.
    """
    form = form or _format_of(file)
    moment = _moment(as_of) if as_of is not None else None
    if moment and form is Format.JSONL:
        raise SetupError("--as-of is for CSV and Parquet: events say themselves when they were")
    if file == "-" and form is Format.PARQUET:
        raise SetupError("--format parquet needs a file: it cannot be read from standard input")
    settings = load_settings()
    intake = Intake(
        make_engine(settings, role="produce"),
        settings,
        Lane.BACKFILL if backfill else Lane.TAGGING,
    )
    with ExitStack() as stack:
        stream = stack.enter_context(_open(file))
        name = os.fsencode(file).decode(errors="backslashreplace")
        most = settings.max_event_bytes
        if form is Format.CSV:
            lines = csv_lines(stream, name, most, moment)
        elif form is Format.PARQUET:
            lines = parquet_lines(file, name, most, moment)
        else:
            lines = read_lines(stream, name, most)
        total = _size(stream) if form is Format.JSONL else None
        counts = _record(intake, lines, total, settings.intake_batch_events)
    _report(counts)
    if counts.rejected:
        raise typer.Exit(EXIT_REJECTED)


@intake_commands.command()
def http(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8080,
) -> None:
    """Take CloudEvents over HTTP, signed by Standard Webhooks; docs/events.md shows how.

    An answer of 202 means committed. SIGTERM lets what was accepted finish, then exit code 0.
    """
    with needing_extra("http"):
        from producer.http import app, server  # noqa: PLC0415
    settings = load_settings()
    logs.configure(settings, role="intake")
    engine = make_engine(settings, role="intake", connections=app.CONNECTIONS)
    server.serve(settings, engine, host, port)


@intake_commands.command()
def stream(
    name: Annotated[str, typer.Argument(help="The stream's key.")] = "listing-events",
    group: Annotated[str, typer.Option(help="The consumer group; made if need be.")] = (
        "listing-tagger"
    ),
    consumer: Annotated[
        str | None,
        typer.Option(help="What the group knows this intake by, and no other.  [one of its own]"),
    ] = None,
) -> None:
    """Take events out of a Redis Stream at TAGGER_STREAM_URL, or at REDIS_URL.

    An entry is acknowledged once it is committed; what is no event goes to rejected_event.
    SIGTERM lets what was read be recorded, then exit code 0.
    """
    settings = load_settings()
    logs.configure(settings, role="supervisor")
    own = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    called = [consumer] if consumer else [own, "passing"]
    _supervise(
        ["stream", name, group, *called],
        grace_s=StreamIntake.longest_step_s(settings),
    )


def relay() -> None:
    """Ring for photos that are due, and take back those whose worker is gone, until stopped."""
    settings = load_settings()
    logs.configure(settings, role="supervisor")
    # A round ends, or its watchdog ends it.
    _supervise(["relay"], grace_s=Relay.longest_round_s(settings))


def _supervise(role: list[str], *, grace_s: float) -> NoReturn:
    """Keeps one process of that role running until it is asked to stop."""
    command = [sys.executable, "-m", "producer.process", str(os.getpid()), *role]
    supervisor = Supervisor([command], grace_s=grace_s, hopeless=EXIT_SETUP, called=role[0])
    raise typer.Exit(min(supervisor.run(), 1))


def _open(file: str) -> BinaryIO:
    try:
        # Not sys.stdin: its reader thread would hold a lock that Python wants at its exit.
        return os.fdopen(os.dup(0), "rb") if file == "-" else Path(file).open("rb")
    except OSError as error:
        raise SetupError(f"{file}: {error.strerror}") from None


def _format_of(file: str) -> Format:
    suffix = Path(file).suffix.lower().removeprefix(".")
    return Format(suffix) if suffix in [*Format] else Format.JSONL


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SetupError(f"--as-of {text!r} is not an ISO 8601 time") from None
    if moment.tzinfo is None:
        raise SetupError(f"--as-of {text!r} has no time zone; add Z for UTC")
    if moment > datetime.now(UTC) + MAX_AHEAD:
        raise SetupError(f"--as-of {text!r} lies in the future")
    return moment


def _size(stream: BinaryIO) -> int | None:
    status = os.fstat(stream.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _record(intake: Intake, lines: Iterator[Line], total: int | None, batch_lines: int) -> Counts:
    counts = Counts()
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[events]} events"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with progress:
        bar = progress.add_task("recording", total=total, events=0)
        for batch in batches(lines, batch_lines):
            counts.add(intake.record(batch))
            progress.update(
                bar,
                advance=sum(line.length + 1 for line in batch),
                events=counts.recorded + counts.unchanged + counts.rejected,
            )
    return counts


def _report(counts: Counts) -> None:
    console = Console()
    table = Table("events", "count", show_edge=False, pad_edge=False)
    table.add_row("recorded", str(counts.recorded))
    table.add_row("already known or older", str(counts.unchanged))
    table.add_row("rejected", str(counts.rejected))
    table.add_row("photos to tag", str(counts.photos), end_section=True)
    for code, times in sorted(counts.reasons.items()):
        table.add_row(f"rejected: {code}", str(times))
    console.print(table)
    if counts.rejected:
        console.print("The rejected lines and their reasons: SELECT * FROM rejected_event;")
