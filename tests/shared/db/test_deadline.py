"""No statement waits for ever for a server that says nothing."""

import gc
import threading
import time
from collections.abc import Callable

import psutil
import psycopg2
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from shared.db.copy import copy_numbers
from shared.db.deadline import Deadline
from shared.db.retry import transient
from shared.db.session import make_engine
from shared.settings import Settings
from tests.faults.proxy import Proxy
from tests.waiting import wait_until


def _execute(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))


def _copy(connection: Connection) -> None:
    copy_numbers(connection, "photo_tag", ("photo_id", "tag_id"), [(1, 1)])


def _commit(connection: Connection) -> None:
    connection.commit()


def _roll_back(connection: Connection) -> None:
    connection.rollback()


@pytest.mark.parametrize("work", [_execute, _copy, _commit, _roll_back])
def test_a_server_that_says_nothing_is_hung_up_on(
    settings: Settings, work: Callable[[Connection], None]
) -> None:
    with _proxy(settings) as proxy:
        engine = make_engine(_through(settings, proxy), role="test", silence_s=2)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            assert proxy.freeze() == 1
            started = time.monotonic()
            with pytest.raises(DBAPIError) as caught:
                work(connection)
        waited_s = time.monotonic() - started
        assert 1.5 < waited_s < 20
        assert transient(caught.value)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 2")).scalar() == 2
        engine.dispose()


def test_an_engine_that_is_gone_leaves_no_thread(settings: Settings) -> None:
    def watching() -> set[int | None]:
        return {thread.ident for thread in threading.enumerate() if thread.name == "deadline"}

    before = watching()
    engine = make_engine(settings, role="test")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    started = watching() - before
    assert len(started) == 1
    engine.dispose()
    del engine, connection

    def gone() -> bool:
        gc.collect()
        return not started & watching()

    wait_until(gone)


def test_a_statement_that_is_answered_in_time_is_left_alone(settings: Settings) -> None:
    engine = make_engine(settings, role="test", silence_s=2)
    with engine.connect() as connection:
        for _ in range(3):
            connection.execute(text("SELECT pg_sleep(1)"))
        time.sleep(3)  # between two statements nobody waits
        assert connection.execute(text("SELECT 3")).scalar() == 3
    engine.dispose()


def test_a_connection_that_fails_leaves_no_socket_behind(settings: Settings) -> None:
    url = settings.database_url.get_secret_value()
    nobody = url.replace("//tagger:", "//nobody:")
    before = _sockets()
    errors: list[psycopg2.Error] = []
    for _ in range(3):
        with pytest.raises(psycopg2.OperationalError) as caught:
            psycopg2.connect(nobody, connection_factory=Deadline(5).connect)
        errors.append(caught.value)
    assert _sockets() == before


def _sockets() -> int:
    return len(psutil.Process().net_connections("tcp"))


def _proxy(settings: Settings) -> Proxy:
    address = settings.database_url.get_secret_value().rpartition("@")[2]
    host, _, port = address.partition("/")[0].partition(":")
    return Proxy((host, int(port)))


def _through(settings: Settings, proxy: Proxy) -> Settings:
    raw = settings.database_url.get_secret_value()
    port = raw.rpartition("@")[2].partition("/")[0].partition(":")[2]
    return settings.model_copy(
        update={
            "database_url": type(settings.database_url)(raw.replace(f":{port}/", f":{proxy.port}/"))
        }
    )
