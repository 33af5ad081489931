"""The backlog is looked at now and then, and so is whether Postgres is there."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import Engine
from sqlalchemy.event import listen, remove

from producer.http.backlog import Backlog
from shared.db.session import make_engine
from shared.settings import Settings
from tests.marketplace import claim_all, event, record, rows
from tests.waiting import wait_until

Look = Callable[..., Backlog]


@pytest.fixture
def look(engine: Engine, settings: Settings) -> Generator[Look]:
    """Starts looking, with changed settings."""
    with ExitStack() as stack:

        def start(**changes: object) -> Backlog:
            changed = settings.model_copy(update=changes)
            backlog = stack.enter_context(closing(Backlog(engine, changed)))
            wait_until(lambda: backlog.trouble is None)
            return backlog

        yield start


def test_photos_that_wait_or_are_queued_count(
    look: Look, engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event(photos=["a", "b", "c"]))
    assert not look(max_photos_waiting=3).full
    assert look(max_photos_waiting=2).full
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE photo SET status = 'queued', lease_until = now()")
    assert look(max_photos_waiting=2).full
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE photo SET status = 'pending', lease_until = NULL")
    claim_all(engine)
    assert not look(max_photos_waiting=2).full, "what is worked on does not wait"


def test_a_backfill_does_not_shut_out_new_events(
    look: Look, engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event(photos=["a", "b", "c"]))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE photo SET lane = 'backfill'")
    assert not look(max_photos_waiting=2).full


def test_a_host_that_rests_does_not_shut_out_new_events(
    look: Look, engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event(photos=["a", "b", "c"]))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE photo SET due_at = now() + interval '1 h'")
    assert not look(max_photos_waiting=2).full
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE photo SET due_at = now(), alone = url <> 'a'")
    assert look(max_photos_waiting=2).full, "they wait for workers when they are due"


def test_counting_goes_no_further_than_to_the_limit(
    look: Look, engine: Engine, settings: Settings
) -> None:
    """However long the backlog is, a look costs the same."""
    for number in range(20):
        photos = [f"{number}-{n}" for n in range(100)]
        record(engine, settings, event(f"L{number}", photos=photos))
    backlog = look(max_photos_waiting=10)
    assert backlog.full
    assert backlog._waiting == 11  # pyright: ignore[reportPrivateUsage]


def test_it_waits_for_a_connection_however_long_and_goes_on(settings: Settings) -> None:
    engine = make_engine(
        settings.model_copy(update={"statement_timeout_s": 0.3}), role="intake", connections=1
    )
    with engine.connect(), closing(Backlog(engine, settings)) as backlog:
        wait_until(lambda: "no connection" in (backlog.trouble or ""))
        engine.dispose(close=False)  # a pool of its own, with a connection that is free
        wait_until(lambda: backlog.trouble is None)
    engine.dispose()


def test_what_nobody_thought_of_is_logged_and_looked_past(
    engine: Engine, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = True

    def check_out(*_: object) -> None:
        if odd:
            raise KeyError("odd")

    listen(engine, "checkout", check_out)
    try:
        with closing(Backlog(engine, settings)) as backlog:
            wait_until(lambda: backlog.trouble == "unexpected: KeyError")
            odd = False
            wait_until(lambda: backlog.trouble is None)
    finally:
        remove(engine, "checkout", check_out)
    said = capsys.readouterr().out
    assert said.count("intake.not_ready") == 1
    assert "check_out" in said, "with the place where it went wrong"


def test_old_deliveries_are_purged_along_the_way(look: Look, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO webhook_delivery VALUES ('old', 'x', now() - interval '1 h'),"
            " ('new', 'x', now())"
        )
    look()
    wait_until(lambda: rows(engine, "SELECT webhook_id FROM webhook_delivery") == [("new",)])
