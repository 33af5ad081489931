"""`tagger dev`: the local servers and the photo origin, from the command line."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dev.listings import events as listing_events
from dev.listings import photo_files
from dev.origin import serve
from dev.services import DEFAULT_FOLDER, Services
from shared.extras import needing_extra

app = typer.Typer(
    help="Real servers and a photo origin on this machine.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they hold passwords
)

Folder = Annotated[Path, typer.Option(help="Where the servers keep their data.")]


@app.command()
def up(
    folder: Folder = DEFAULT_FOLDER,
    print_env: Annotated[
        bool, typer.Option("--print-env", help="Print only the export lines, passwords included.")
    ] = False,
) -> None:
    """Start Postgres and Valkey, or find them running."""
    services = Services(folder)
    urls = services.up()
    if print_env:
        typer.echo(f"export DATABASE_URL={shlex.quote(urls.database_url)}")
        typer.echo(f"export REDIS_URL={shlex.quote(urls.redis_url)}")
        return
    _show(services)
    typer.echo(f"The tagger finds them by {folder / 'services.env'}. For other programs:")
    typer.echo('  eval "$(tagger dev up --print-env)"')


@app.command()
def status(folder: Folder = DEFAULT_FOLDER) -> None:
    """Show which servers run, and where."""
    _show(Services(folder))


@app.command()
def down(
    folder: Folder = DEFAULT_FOLDER,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the data as well.")] = False,
) -> None:
    """Stop Postgres and Valkey."""
    Services(folder).down(delete=delete)
    typer.echo("Stopped, and the data deleted." if delete else "Stopped. The data is kept.")


@app.command()
def origin(
    folder: Annotated[Path, typer.Argument(help="The photos; all of it becomes readable.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
) -> None:
    """Serve a folder of photos on 127.0.0.1 until Ctrl-C."""
    serve(folder, port, lambda url: typer.echo(f"{url}/ (Ctrl-C stops it)"), leashed=False)


@app.command()
def photos(
    folder: Annotated[Path, typer.Argument(help="Where they go.")],
    count: Annotated[int, typer.Option(min=1)] = 72,
    seed: Annotated[int, typer.Option(min=0)] = 7,
) -> None:
    """Render sample listing photos."""
    with needing_extra("local"):
        from dev.photos import render_all  # noqa: PLC0415
    render_all(folder, count=count, seed=seed)
    typer.echo(f"{count} photos are in {folder}")


@app.command()
def events(
    folder: Annotated[Path, typer.Argument(help="A folder of photos.")],
    origin: Annotated[str, typer.Option(help="The URL that serves it.")],
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many photos.")] = None,
) -> None:
    """Print a listing event for each photo in a folder, for `tagger produce`."""
    for event in listing_events(photo_files(folder, limit), origin.rstrip("/")):
        typer.echo(json.dumps(event, ensure_ascii=False))


def _show(services: Services) -> None:
    table = Table("server", "state", "pid", box=None, padding=(0, 2, 0, 0))
    table.add_column("url and folder", overflow="fold")  # never cut: they are there to be copied
    for server in services.status():
        table.add_row(
            " ".join(filter(None, [server.name, server.version])),
            "[green]running[/]" if server.running else "[red]down[/]",
            str(server.pid or ""),
            "\n".join(escape(str(place)) for place in (server.url, server.folder) if place),
        )
    Console().print(table)
