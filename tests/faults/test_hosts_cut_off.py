"""A host whose cable is pulled delays what it held, and works again when it is back."""

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, write_events
from dev.origin import Origin
from dev.postgres import Postgres
from dev.services import Services, Urls
from tests.faults.aftermath import Aftermath
from tests.faults.hosts import Host
from tests.marketplace import rows
from tests.settled import assert_quiet, wait_until_settled
from tests.waiting import wait_until

_CUT_OFF_S = 15
#: Keep-alives: 10 s, and three times 5 s.
_FREE_WITHIN_S = 60
_AWAY = (
    "Redis BRPOP got no reply",
    "batch.database_away",
    "batch.fenced_off",
    "database.again",
    "host.rests",
    "hosts.",
    "model.database_away",
    "relay.swept",
    "worker.valkey_away",
)


@pytest.mark.row("F22")
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(Host.missing()), reason=f"needs {Host.missing()}")
def test_a_host_that_is_cut_off_loses_nothing_and_comes_back(
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    port = urlsplit(origin.url).port
    assert port
    assert servers.postgres.port
    assert servers.valkey.port
    with (
        Host() as host,
        _listening_to(host, servers.postgres),
        host.door(servers.valkey.port) as valkey,
        host.door(port) as photos_here,
    ):
        fleet.environment |= {
            "TAGGER_ALLOWED_PORTS": str(photos_here.port),
            "TAGGER_WORKING_LEASE_S": "10",
            "TAGGER_QUEUED_LEASE_S": "5",
            "TAGGER_STATEMENT_TIMEOUT_S": "3",
            "TAGGER_BATCH_PHOTOS": "16",
        }
        far = {
            name: _at(fleet.environment[name], f"{host.here}:{port}")
            for name, port in (
                ("DATABASE_URL", servers.postgres.port),
                ("REDIS_URL", valkey.port),
            )
        }
        urls = Urls(far["DATABASE_URL"], far["REDIS_URL"])
        environment = fleet.environment | far
        with Fleet(urls, tmp_path / "far", environment, prefix=host.prefix) as there:
            fleet.start("relay", "relay")
            there.start("worker", "worker", "--processes", "1")
            origin_here = f"http://{host.here}:{photos_here.port}"
            total = _publish(fleet, photos * 20, origin_here, "first")
            _wait_for_tags(engine)
            fleet.start("worker", "worker", "--processes", "1")
            host.pull()
            wait_until_settled(engine, total, timeout_s=90)
            taken_back = "SELECT count(*) FROM photo WHERE crashes > 0 OR attempt > 1"
            assert rows(engine, taken_back) != [(0,)], "it held photos when it was cut off"
            fleet.stop("worker")
            total += _publish(fleet, photos * 4, origin_here, "second")
            time.sleep(_CUT_OFF_S)
            host.plug()
            aftermath.fault_is_over()
            aftermath.check(total)
            assert there.stop() == {"worker": 0}
            assert_quiet(there, "worker", allowed=_AWAY)
    assert rows(engine, "SELECT DISTINCT status FROM photo") == [("tagged",)]


#: Holds a listing and is in the middle of sending rows, where no timeout of Postgres' counts.
_SENDS = """
import sys, time
from shared.db.session import make_engine
from shared.settings import load_settings
class Rows:
    def read(self, size):
        print("holds", flush=True)
        time.sleep(600)
connection = make_engine(load_settings(), role="test").raw_connection()
cursor = connection.cursor()
cursor.execute("SELECT FROM listing FOR UPDATE")
cursor.copy_expert("COPY photo_tag FROM STDIN", Rows())
"""


@pytest.mark.row("F22")
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(Host.missing()), reason=f"needs {Host.missing()}")
def test_what_a_host_held_in_the_middle_of_a_copy_is_free_again_soon(
    engine: Engine, servers: Services, fleet: Fleet, photos: list[PhotoFile]
) -> None:
    assert servers.postgres.port
    with Host() as host, _listening_to(host, servers.postgres):
        _publish(fleet, photos, "http://nowhere.test", "held")
        url = _at(fleet.environment["DATABASE_URL"], f"{host.here}:{servers.postgres.port}")
        with subprocess.Popen(
            [*host.prefix, sys.executable, "-c", _SENDS],
            env=fleet.environment | {"DATABASE_URL": url},
            stdout=subprocess.PIPE,
            text=True,
        ) as far:
            try:
                assert far.stdout
                assert far.stdout.readline() == "holds\n"
                assert not _is_free(engine)
                host.pull()
                wait_until(lambda: _is_free(engine), timeout_s=_FREE_WITHIN_S)
            finally:
                far.kill()


def _is_free(engine: Engine) -> bool:
    query = "SELECT count(*) FROM (SELECT FROM listing FOR UPDATE SKIP LOCKED) AS free"
    return rows(engine, query) != [(0,)]


@contextmanager
def _listening_to(host: Host, postgres: Postgres) -> Generator[None]:
    """Postgres itself at the cable: what it does about clients that vanish is to be seen."""
    access = postgres.home / "data" / "pg_hba.conf"
    before = access.read_text()
    access.write_text(f"{before}\nhost all all {host.block} scram-sha-256\n")
    _execute(postgres, f"ALTER SYSTEM SET listen_addresses = '127.0.0.1,{host.here}'")
    postgres.restart()
    try:
        yield
    finally:
        access.write_text(before)
        _execute(postgres, "ALTER SYSTEM RESET listen_addresses")
        postgres.restart()


def _execute(postgres: Postgres, statement: str) -> None:
    connection = psycopg2.connect(postgres.url)
    connection.autocommit = True
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(statement)


def _at(url: str, address: str) -> str:
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@{address}").geturl()


def _publish(fleet: Fleet, many: list[PhotoFile], origin: str, name: str) -> int:
    file = fleet.folder / f"{name}.jsonl"
    write_events(many, origin, file)
    file.write_text(file.read_text().replace("listing-", f"{name}-"))
    assert fleet.run("produce", str(file)).returncode == 0
    return len(many)


def _wait_for_tags(engine: Engine) -> None:
    some = "SELECT EXISTS (SELECT FROM photo WHERE status = 'tagged')"
    wait_until(lambda: rows(engine, some) == [(True,)])
