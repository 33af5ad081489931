"""`tagger migrate`, `tagger roles`, `tagger feed` and `tagger compact-feed`."""

import json
import os
import sys
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shared.db import grants, search_feed
from shared.db import roles as db_roles
from shared.db.session import make_engine
from shared.settings import load_settings

_PAGE = 1000
_MIGRATION_SILENCE_S = 120.0
#: What steers a terminal, turns text around or ends a line for some readers: in JSON as numbers.
_CONTROLS = {
    code: f"\\u{code:04x}"
    for code in (*range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}


def printable(text: str) -> str:
    """Text from outside as it can be shown: what steers a terminal comes out as in JSON."""
    return text.translate(_CONTROLS | {code: f"\\u{code:04x}" for code in range(0x20)})


def migrate() -> None:
    """Bring the database to this version's schema."""
    from migrations import run  # noqa: PLC0415  # Alembic is slow to import

    # Its statements have time-outs of their own, longer than other processes'.
    engine = make_engine(load_settings(), role="migrate", silence_s=_MIGRATION_SILENCE_S)
    revision = run.upgrade(engine)
    typer.echo(f"schema {revision}")


def roles(
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL instead; needs no server.")
    ] = False,
) -> None:
    """Make the database roles that processes and people work under; safe to repeat.

    docs/security.md tells which command needs which. It takes the database's owner with
    CREATEROLE, or a superuser. None of the roles logs in: give one to a login with GRANT
    tagger_worker TO my_login.
    """
    if sql:
        typer.echo("-- Once the schema is there (`tagger migrate`); safe to repeat.")
        for statement in ("\\set ON_ERROR_STOP on\nBEGIN", *db_roles.statements(), "COMMIT"):
            typer.echo(f"{statement};")
        return
    engine = make_engine(load_settings(), role="roles")
    grants.make(engine)
    with engine.connect() as connection:
        allowed = grants.allowed(connection)
    table = Table("table", *(role.removeprefix("tagger_") for role in db_roles.Role), box=None)
    for name, by_role in allowed.items():
        table.add_row(name, *(" ".join(verbs).lower() or "-" for verbs in by_role.values()))
    Console().print(table)


def feed(
    after: Annotated[int, typer.Option(min=0, help="The last cursor you have seen.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many entries.")] = None,
) -> None:
    """Print the search feed as JSON lines: each listing's new documents, in order.

    The cursor of a line is the --after of the next call; nothing is skipped in between. A
    deleted listing comes as a line with "deleted": true and no document.
    """
    try:
        _print_feed(after, limit)
    except BrokenPipeError:
        # The reader has seen enough, as `head` does. Python must not flush into it either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def compact_feed(
    keep_days: Annotated[
        float,
        typer.Option(
            min=0, max=36_500, help="Younger entries stay; readers may lag that far behind."
        ),
    ] = 30,
) -> None:
    """Delete entries of the search feed that newer ones of their listings have replaced.

    The newest document of each listing stays, so that an index can be built from nothing. Safe to
    interrupt and to repeat, and while others write and read.
    """
    engine = make_engine(load_settings(), role="compact-feed")
    after, total, looked_at = 0, 0, -1
    while looked_at != after:
        looked_at = after
        with engine.begin() as connection:
            after, deleted = search_feed.compact(
                connection, after=after, keep=timedelta(days=keep_days)
            )
        total += deleted
    typer.echo(f"{total} entries deleted")


def _print_feed(after: int, limit: int | None) -> None:
    engine = make_engine(load_settings(), role="feed")
    left = sys.maxsize if limit is None else limit
    while left > 0:
        with engine.connect() as connection:
            entries = search_feed.read(connection, after=after, limit=min(left, _PAGE))
        for entry in entries:
            line = {
                "cursor": entry.position,
                "listing_id": entry.listing_id,
                "version": entry.doc_version,
                "deleted": entry.document is None,
                "document": entry.document,
                "created_at": entry.created_at.isoformat(),
            }
            typer.echo(json.dumps(line, ensure_ascii=False).translate(_CONTROLS))
        if len(entries) < _PAGE:
            return
        after = entries[-1].position
        left -= len(entries)
