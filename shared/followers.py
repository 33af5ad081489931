"""A follower of the feed as a command: caught up once, or kept running by a supervisor."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

import typer

from shared import logs, supervised
from shared.db import feed_cursors
from shared.db.follow import Follower, Progress, Projection
from shared.db.session import make_engine
from shared.settings import Settings
from shared.supervisor import EXIT_SETUP, Supervisor

#: Exit code of `--once` when some documents were refused; the others are in.
EXIT_REFUSED: Final = 3


def serve(
    settings: Settings,
    projection: Projection,
    command: Sequence[str],
    *,
    role: str,
    once: bool,
    rebuild: bool,
) -> None:
    """Keeps a projection up to date until stopped, or until nothing is left.

    Args:
        settings: of this process.
        projection: what is kept up to date.
        command: the module that calls `work`, and its arguments after the supervisor's id.
        role: what logs and Postgres call it.
        once: end when nothing is left.
        rebuild: begin again from the first entry.

    Raises:
        IndexAway: with `once`, it does not answer.
        typer.Exit: something other than all went well.
    """
    logs.configure(settings, role=role if once else "supervisor")
    engine = make_engine(settings, role=role, connections=1)
    if rebuild:
        with engine.begin() as connection:
            feed_cursors.rewind(connection, projection.name)
    if once:
        _report(Follower(engine, projection).catch_up())
        return
    engine.dispose()
    module, *arguments = command
    supervisor = Supervisor(
        [[sys.executable, "-m", module, str(os.getpid()), *arguments]],
        grace_s=Follower.longest_step_s(settings),
        hopeless=EXIT_SETUP,
        called=role,
    )
    raise typer.Exit(min(supervisor.run(), 1))


def work(supervisor: int, role: str, make: Callable[[Settings], Projection]) -> int:
    """The process that `serve` keeps running; returns its exit code."""

    def follower(settings: Settings) -> supervised.Work:
        engine = make_engine(settings, role=role, connections=1)
        its = Follower(engine, make(settings))
        return lambda stop: its.run(stop, longest_step_s=Follower.longest_step_s(settings))

    return supervised.work(supervisor, role, follower)


def _report(done: Progress) -> None:
    typer.echo(f"{done.entries} entries")
    if done.refused:
        typer.echo(f"{done.refused} documents were refused: feed_refusal says which and why.")
        raise typer.Exit(EXIT_REFUSED)
