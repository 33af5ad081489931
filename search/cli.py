"""`tagger index` and `tagger search`."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from search import query as queries
from search.postgres import WEIGHTS
from search.process import DEFAULT_NAME, projection
from shared import followers
from shared.cli import printable
from shared.db import feed_cursors
from shared.db.session import make_engine
from shared.errors import SetupError
from shared.settings import load_settings

_SHOWN = 3  # tags of a hit


def index(
    to: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="OpenSearch or Elasticsearch; TAGGER_INDEX_URL where it has a password.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help=f"The index's name there.  [{DEFAULT_NAME}]")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is left.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Begin again from the first entry.")
    ] = False,
    forget: Annotated[
        str | None,
        typer.Option(
            metavar="CURSOR", help="Let go of an index that is kept up no more, by its cursor."
        ),
    ] = None,
) -> None:
    """Keep a search index up to date with the feed: the one in Postgres, or one at a URL.

    It goes on where it stopped. Of several at once one works and the others stand by. Documents
    that the index does not take stand in feed_refusal, with the reason; --once ends with exit
    code 3 then.
    """
    if forget is not None:
        if to or name or once or rebuild:
            raise SetupError("--forget stands alone")
        _forget(forget)
        return
    if "" in (to, name):
        raise SetupError("--to and --name must not be empty")
    settings = load_settings()
    where = (to or "", name or "")
    followers.serve(
        settings,
        projection(settings, *where),
        ["search.process", *where],
        role="index",
        once=once,
        rebuild=rebuild,
    )


def search(
    words: Annotated[
        list[str] | None, typer.Argument(help='As typed: camera "vintage lens" OR tripod -broken')
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Must have this tag; repeatable.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Must not have this tag; repeatable.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--in", help=f"Look for words only there: {', '.join(WEIGHTS)}."),
    ] = None,
    related: Annotated[
        bool, typer.Option("--related", help="Let tags that go with the words stand for them.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Find listings in the index that is in Postgres; `tagger index` keeps it up to date."""
    if unknown := {*(source or [])} - {*WEIGHTS}:
        raise SetupError(f"--in {min(unknown)}: it must be one of {', '.join(WEIGHTS)}")
    settings = load_settings()
    engine = make_engine(settings, role="search")
    typed = " ".join(words or [])
    with engine.connect() as connection:
        expand = queries.related(connection, typed, settings.search_language) if related else []
        wanted = queries.Query(
            typed,
            tags=tag or [],
            without=without or [],
            sources=source or [*WEIGHTS],
            expand=expand,
        )
        found = queries.search(connection, wanted, settings.search_language, limit=limit)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "total": found.total,
                    "related": expand,
                    "facets": found.facets,
                    "hits": [asdict(hit) for hit in found.hits],
                }
            )
        )
        return
    _show(found, expand)


def _forget(cursor: str) -> None:
    engine = make_engine(load_settings(), role="index")
    with engine.begin() as connection:
        position = feed_cursors.forget(connection, cursor)
        known = ", ".join(feed_cursors.known(connection)) or "nobody"
    if position is None:
        raise SetupError(f"no cursor is called {cursor}; the feed is followed by {known}")
    typer.echo(f"{cursor} is forgotten; it was at {position}. The feed is followed by {known}.")


def _show(found: queries.Found, expand: list[str]) -> None:
    console = Console()
    if expand:
        console.print(Text(printable(f"also: {', '.join(expand)}")))
    table = Table("listing", "rank", "title", "tags", "seller says", show_edge=False)
    for hit in found.hits:
        seller = ", ".join(hit.seller_tags[:_SHOWN])
        cells = (hit.listing_id, f"{hit.rank:.3f}", hit.title, ", ".join(hit.tags), seller)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    console.print(table)
    spread = ", ".join(f"{tag} {count}" for tag, count in found.facets.items())
    console.print(Text(printable(f"{found.total} listings. {spread}")))
