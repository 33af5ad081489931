"""`tagger events`: what was rejected, and offering it again."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import text

from producer import contract
from producer.cli import EXIT_REJECTED
from producer.contract import Kind
from producer.intake import limits
from producer.replay import Replayed, replay
from shared.cli import printable
from shared.db.session import make_engine
from shared.settings import load_settings

#: So many characters of a line.
_SHOWN = 60

app = typer.Typer(help="Look after events that were rejected.", no_args_is_help=True)


@app.command()
def rejected(
    code: Annotated[list[str] | None, typer.Option(help="Only these codes; repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line, whole.")] = False,
) -> None:
    """Show rejected events, the newest first, with the reasons."""
    engine = make_engine(load_settings(), role="events")
    with engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT id, code, reason, source, times, last_seen_at, line FROM rejected_event
                WHERE CAST(:codes AS text[]) IS NULL OR code = ANY(:codes)
                ORDER BY last_seen_at DESC, id DESC LIMIT :limit
            """),
            {"codes": code, "limit": limit},
        )
        found = rows.mappings().all()
    if as_json:
        for row in found:
            seen = row["last_seen_at"].isoformat()
            typer.echo(json.dumps({**row, "last_seen_at": seen}))
        return
    table = Table("id", "code", "reason", "source", "times", "line", show_edge=False)
    for row in found:
        line: str = row["line"]
        short = line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
        cells = (*(str(row[name]) for name in ("id", "code", "reason", "source", "times")), short)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    Console().print(table)


@app.command("replay")
def replay_command(
    code: Annotated[list[str] | None, typer.Option(help="Only these codes; repeatable.")] = None,
) -> None:
    """Offer rejected events again, after a limit was raised or a fault mended.

    What is recorded leaves rejected_event; what is rejected again stays, with today's reason.
    Photos of what came with --backfill wait behind all new ones again.
    Exit code 3 if something stays.
    """
    settings = load_settings()
    done = replay(make_engine(settings, role="events"), settings, code)
    _report(done)
    if done.rejected or done.incomplete:
        raise typer.Exit(EXIT_REJECTED)


@app.command()
def schema(
    kind: Annotated[Kind, typer.Argument(help="Which document.")] = Kind.EVENT,
) -> None:
    """Print what events look like, for machines, by the limits of this environment.

    event, cloudevent: a JSON Schema. asyncapi: an AsyncAPI 3.0 document.
    """
    typer.echo(contract.document(kind, limits(load_settings())))


def _report(done: Replayed) -> None:
    table = Table("events", "count", show_edge=False, pad_edge=False)
    table.add_row("recorded", str(done.recorded))
    table.add_row("already known or older", str(done.unchanged))
    table.add_row("still rejected", str(done.rejected))
    table.add_row("not kept as events: send them again", str(done.incomplete))
    table.add_row("photos to tag", str(done.photos))
    Console().print(table)
