"""`tagger review`: the page, who may use it, and what came of it."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from review import reviewers
from review.precision import precisions
from shared import logs
from shared.db.session import make_engine
from shared.extras import needing_extra
from shared.settings import load_settings

app = typer.Typer(help="The page where people vote on tags and flags.")

Name = Annotated[str, typer.Argument(help="What the reviewer signs in with.")]


@app.callback(invoke_without_command=True)
def review(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8090,
) -> None:
    """Show flagged and uncertain listings to reviewers, who accept or reject their tags.

    Make a reviewer first: `tagger review add NAME`. Beyond this machine it belongs behind a server
    that ends TLS; docs/review.md shows how.
    """
    if context.invoked_subcommand is not None:
        return
    with needing_extra("review"):
        from review import app as application  # noqa: PLC0415
        from review import server  # noqa: PLC0415
    settings = load_settings()
    logs.configure(settings, role="review")
    logs.divert_native_output()
    engine = make_engine(settings, role="review", connections=application.CONNECTIONS)
    server.serve(settings, engine, host, port)


@app.command()
def add(name: Name) -> None:
    """Let somebody review; prints a password once, which is stored as a hash alone."""
    engine = make_engine(load_settings(), role="review")
    with engine.begin() as connection:
        password = reviewers.add(connection, name)
    typer.echo(password)


@app.command()
def remove(name: Name) -> None:
    """Let somebody review no longer, and sign them out everywhere; their votes stay."""
    engine = make_engine(load_settings(), role="review")
    with engine.begin() as connection:
        reviewers.remove(connection, name)


@app.command()
def precision(
    model: Annotated[
        str | None, typer.Option(help="Only what this model version gave.", metavar="VERSION")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """How often reviewers say that a tag, or a flag, is right, with 95 % intervals."""
    engine = make_engine(load_settings(), role="review")
    with engine.connect() as connection:
        rows = precisions(connection, model)
    if as_json:
        for row in rows:
            fields = {
                "kind": row.kind,
                "subject": row.subject,
                "accepted": row.accepted,
                "rejected": row.rejected,
                "even": row.even,
                "precision": row.share,
                "interval": row.interval,
            }
            typer.echo(json.dumps(fields))
        return
    table = Table("what", "accepted", "rejected", "even", "precision", "95 % interval", box=None)
    for row in rows:
        low, high = row.interval
        table.add_row(
            row.subject or f"flag: {row.kind}",
            str(row.accepted),
            str(row.rejected),
            str(row.even),
            "-" if row.share is None else f"{row.share:.3f}",
            f"{low:.3f} to {high:.3f}",
        )
    Console(markup=False).print(table)
