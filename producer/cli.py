"""`tagger produce`, `tagger intake` and `tagger relay`."""

import os
import stat
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from producer.intake import Counts, Intake
from producer.lines import batches, read_lines
from producer.relay import Relay
from shared import logs
from shared.db.session import make_engine
from shared.domain.photo import Lane
from shared.errors import SetupError
from shared.settings import load_settings
from shared.supervisor import EXIT_SETUP, Supervisor

intake_commands = typer.Typer(
    help="Take listing events from where they come in, until stopped.", no_args_is_help=True
)

#: Exit code of `produce` when some lines were rejected; the others are recorded.
EXIT_REJECTED = 3


def produce(
    file: Annotated[str, typer.Argument(help="A file of events, one JSON a line; - is stdin.")],
    backfill: Annotated[
        bool, typer.Option("--backfill", help="Queue the photos behind all new ones.")
    ] = False,
) -> None:
    """Record listing events. Safe to repeat: what is known already changes nothing.

    Exit code 0: every line was recorded or known. 3: some lines were rejected and stand in the
    table rejected_event with their reasons.
    """
    settings = load_settings()
    intake = Intake(
        make_engine(settings, role="produce"),
        settings,
        Lane.BACKFILL if backfill else Lane.TAGGING,
    )
    with ExitStack() as stack:
        stream = stack.enter_context(_open(file))
        counts = _record(
            intake, stream, file, settings.max_event_bytes, settings.intake_batch_events
        )
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
    try:
        from producer.http import app, server  # noqa: PLC0415  # an extra, which others do without
    except ModuleNotFoundError as error:
        raise SetupError(
            f'{error.name} is missing: install the extra `http`, pip install -e ".[http]"'
        ) from None
    settings = load_settings()
    logs.configure(settings, role="intake")
    engine = make_engine(settings, role="intake", connections=app.CONNECTIONS)
    server.serve(settings, engine, host, port)


def relay() -> None:
    """Ring for photos that are due, and take back those whose worker is gone, until stopped."""
    settings = load_settings()
    logs.configure(settings, role="supervisor")
    command = [sys.executable, "-m", "producer.process", str(os.getpid())]
    # A round ends, or its watchdog ends it.
    supervisor = Supervisor(
        [command], grace_s=Relay.longest_round_s(settings), hopeless=EXIT_SETUP, called="relay"
    )
    raise typer.Exit(min(supervisor.run(), 1))


def _open(file: str) -> BinaryIO:
    try:
        # Not sys.stdin: its reader thread would hold a lock that Python wants at its exit.
        return os.fdopen(os.dup(0), "rb") if file == "-" else Path(file).open("rb")
    except OSError as error:
        raise SetupError(f"{file}: {error.strerror}") from None


def _record(
    intake: Intake, stream: BinaryIO, name: str, max_bytes: int, batch_lines: int
) -> Counts:
    counts = Counts()
    status = os.fstat(stream.fileno())
    total = status.st_size if stat.S_ISREG(status.st_mode) else None
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
        printable = os.fsencode(name).decode(errors="backslashreplace")
        for batch in batches(read_lines(stream, printable, max_bytes), batch_lines):
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
