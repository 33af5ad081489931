"""Followers of the feed: one works, others say so, and one that was given up is let go."""

# ruff: noqa: ARG002  # a projection is handed more than this one needs

from collections.abc import Sequence

import psutil
import pytest
from sqlalchemy import Connection, Engine, text

from dev.fleet import Fleet
from search.postgres import PostgresIndex
from shared.db.follow import Entry, Follower, Progress, Refusal
from shared.settings import Settings
from tests.marketplace import event, record, rows
from tests.sender import wait_until


class _Kept:
    """Takes all documents but some."""

    name = "kept"

    def __init__(self, refuses: str = "") -> None:
        self._refuses = refuses

    def prepare(self, connection: Connection) -> None:
        """Needs nothing."""

    def apply(self, connection: Connection, entries: Sequence[Entry]) -> list[Refusal]:
        """Refuses what it is to refuse."""
        return [Refusal(entry, "no") for entry in entries if entry.listing_id == self._refuses]


def test_it_says_how_many_entries_and_refusals_there_were(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event("a", photos=[]), event("b", photos=[]))
    assert Follower(engine, _Kept("a")).catch_up() == Progress(entries=2, refused=1)
    assert Follower(engine, _Kept("a")).catch_up() == Progress()


def test_once_waits_while_another_one_is_at_work(
    engine: Engine, settings: Settings, fleet: Fleet
) -> None:
    assert fleet.run("index", "--once").returncode == 0
    record(engine, settings, event("a", photos=[]))
    with engine.begin() as connection:
        connection.execute(text("SELECT FROM feed_cursor FOR UPDATE"))
        assert Follower(engine, PostgresIndex("english")).step() == Progress(), "it stands by"
        fleet.start("once", "index", "--once")
        waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        wait_until(lambda: rows(engine, waits))
    wait_until(lambda: rows(engine, "SELECT listing_id FROM search_document") == [("a",)])
    wait_until(lambda: fleet.exit_code("once") == 0)


def test_once_says_so_where_another_one_does_not_let_go(
    engine: Engine, settings: Settings, fleet: Fleet
) -> None:
    fleet.environment["TAGGER_STATEMENT_TIMEOUT_S"] = "1"
    assert fleet.run("index", "--once").returncode == 0
    record(engine, settings, event("a", photos=[]))
    with engine.begin() as connection:
        connection.execute(text("SELECT FROM feed_cursor FOR UPDATE"))
        done = fleet.run("index", "--once")
    assert (done.returncode, b"does not let go" in done.stderr) == (1, True), done.stderr


def test_one_that_was_given_up_is_forgotten_by_name(
    engine: Engine, settings: Settings, fleet: Fleet
) -> None:
    record(engine, settings, event("a", photos=[]), event("b", photos=[]))
    Follower(engine, _Kept("a")).catch_up()
    assert fleet.run("index", "--once").returncode == 0
    unknown = fleet.run("index", "--forget", "keptt")
    assert (unknown.returncode, b"kept, postgres" in unknown.stderr) == (1, True)
    assert fleet.run("index", "--forget", "kept", "--once").returncode == 1
    done = fleet.run("index", "--forget", "kept")
    assert done.returncode == 0, done.stderr
    assert b"kept is forgotten; it was at 2." in done.stdout
    assert rows(engine, "SELECT name FROM feed_cursor") == [("postgres",)]
    assert rows(engine, "SELECT count(*) FROM feed_refusal") == [(0,)]


@pytest.mark.parametrize("command", ["index", "flag"])
def test_a_follower_that_dies_is_started_again(
    engine: Engine, settings: Settings, fleet: Fleet, command: str
) -> None:
    supervisor = psutil.Process(fleet.start(command, command))
    wait_until(lambda: rows(engine, "SELECT count(*) FROM feed_cursor") == [(1,)])
    for child in supervisor.children():
        child.kill()
    record(engine, settings, event("a", photos=[]))
    wait_until(lambda: rows(engine, "SELECT position FROM feed_cursor") == [(1,)])
    assert f'"{command}.died"' in fleet.log(command)
    assert fleet.stop() == {command: 0}
