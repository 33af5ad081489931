"""`tagger flag`."""

import signal
import threading
from typing import Annotated

import typer

from shared import logs
from shared.db import follow
from shared.db.session import make_engine
from shared.settings import load_settings
from trust.flagger import Flagger


def flag(
    once: Annotated[bool, typer.Option("--once", help="End when nothing is left.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Judge all listings again, from the first.")
    ] = False,
) -> None:
    """Flag listings: keyword spam, reused photos, restricted tags, nothing known.

    It follows the feed and goes on where it stopped; nothing waits for it. Flags stand in
    listing_flag, each with its reason. Documents mention them only where TAGGER_FLAGS_SHADOW is
    false.
    """
    settings = load_settings()
    logs.configure(settings, role="flag")
    engine = make_engine(settings, role="flag", connections=1)
    flagger = Flagger(settings.restricted_tags, shadow=settings.flags_shadow)
    if rebuild:
        with engine.begin() as connection:
            follow.rewind(connection, flagger.name)
    follower = follow.Follower(engine, flagger)
    if once:
        typer.echo(f"{follower.catch_up()} entries")
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    follower.run(stop)
