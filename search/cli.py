"""`tagger index` and `tagger search`."""

import json
import signal
import threading
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from search import query as queries
from search.opensearch import OpenSearchIndex
from search.postgres import WEIGHTS, PostgresIndex
from shared import logs
from shared.cli import printable
from shared.db import follow
from shared.db.session import make_engine
from shared.errors import SetupError
from shared.settings import Settings, load_settings

_SHOWN = 3  # tags of a hit


def index(
    to: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="OpenSearch or Elasticsearch; TAGGER_INDEX_URL where it has a password.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="The index's name there.")] = "listings",
    once: Annotated[bool, typer.Option("--once", help="End when nothing is left.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Begin again from the first entry.")
    ] = False,
) -> None:
    """Keep a search index up to date with the feed: the one in Postgres, or one at a URL.

    It goes on where it stopped. Of several at once one works and the others stand by. Documents
    that the index does not take stand in feed_refusal, with the reason.
    """
    settings = load_settings()
    logs.configure(settings, role="index")
    engine = make_engine(settings, role="index", connections=1)
    target = _index(settings, to, name)
    if rebuild:
        with engine.begin() as connection:
            follow.rewind(connection, target.name)
    follower = follow.Follower(engine, target)
    if once:
        typer.echo(f"{follower.catch_up()} entries")
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    follower.run(stop)


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


def _index(settings: Settings, to: str | None, name: str) -> follow.Index:
    given = settings.index_url.get_secret_value() if settings.index_url else None
    if to and given:
        raise SetupError("--to and TAGGER_INDEX_URL are both given; only one can be meant")
    url = to or given
    return OpenSearchIndex(url, name) if url else PostgresIndex(settings.search_language)


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
