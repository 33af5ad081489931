"""What tests share: real servers, a fresh database for each test, photos and a fleet."""

# pyright: reportUnknownMemberType=false

import itertools
import os
import signal
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import hypothesis
import psycopg2
import pytest
from redis import Redis
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, photo_files
from dev.origin import Origin
from dev.photos import render_all
from dev.services import Services, Urls
from migrations import run
from shared.db.session import make_engine
from shared.settings import Settings
from tests import namespace

_numbers = itertools.count(1)


def pytest_configure() -> None:
    """A run is alone in its network; ended from outside it stops its servers, as by Ctrl-C."""
    namespace.leave_the_machines_network()
    signal.signal(signal.SIGTERM, signal.default_int_handler)


# How long drawing examples takes says how busy the machine is, and nothing about the code.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Services]:
    """A Postgres and a Valkey of this test run's own, whatever the environment names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DATABASE_URL", raising=False)
        patch.delenv("REDIS_URL", raising=False)
        services = Services(tmp_path_factory.mktemp("servers"))
        services.up()
        yield services
        services.down(delete=True)


@pytest.fixture(scope="session")
def _template(servers: Services) -> str:
    """The name of a migrated database, to be copied."""
    name = "migrated"
    _execute(servers.postgres.url, f"CREATE DATABASE {name}")
    engine = make_engine(settings_for(servers, name), role="test")
    run.upgrade(engine)
    engine.dispose()
    return name


@pytest.fixture
def empty_database(servers: Services) -> Generator[Settings]:
    """Settings of a database without any table."""
    yield from database(servers, "template1")


@pytest.fixture
def settings(servers: Services, _template: str) -> Generator[Settings]:
    """Settings of a migrated database of this test's own, and an empty Valkey."""
    Redis.from_url(servers.valkey.url).flushall()
    yield from database(servers, _template)


@pytest.fixture
def engine(settings: Settings) -> Generator[Engine]:
    """An engine for the test's database."""
    engine = make_engine(settings, role="test")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of rendered listing photos; whoever runs many tests one by one renders them once."""
    if rendered := os.environ.get("TEST_PHOTOS"):
        return Path(rendered)
    folder = tmp_path_factory.mktemp("photos")
    render_photos(folder)
    return folder


def render_photos(folder: Path) -> None:
    """Renders what `photo_folder` holds."""
    render_all(folder, count=24)


@pytest.fixture(scope="session")
def photos(photo_folder: Path) -> list[PhotoFile]:
    """The rendered photos."""
    return photo_files(photo_folder)


@pytest.fixture(scope="session")
def origin(photo_folder: Path) -> Generator[Origin]:
    """Serves the rendered photos."""
    with Origin(photo_folder) as origin:
        yield origin


@pytest.fixture
def fleet(settings: Settings, origin: Origin, tmp_path: Path) -> Generator[Fleet]:
    """Commands against this test's database, allowed to fetch from the origin."""
    urls = Urls(settings.database_url.get_secret_value(), settings.redis_url.get_secret_value())
    with Fleet(urls, tmp_path, fleet_environment(origin)) as fleet:
        yield fleet


def fleet_environment(origin: Origin) -> dict[str, str]:
    """Settings of processes that may fetch from the origin."""
    return {
        "TAGGER_ALLOW_PRIVATE_HOSTS": "true",
        "TAGGER_ALLOWED_PORTS": origin.url.rpartition(":")[2],
        "TAGGER_LOG_FORMAT": "json",
    }


def database(servers: Services, template: str) -> Generator[Settings]:
    """Settings of a database of its own, a copy of the template, for as long as it is needed."""
    name = f"test_{next(_numbers)}"
    _execute(servers.postgres.url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield settings_for(servers, name)
    _execute(servers.postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


def settings_for(servers: Services, database: str, **changes: object) -> Settings:
    """Settings that name one database of the test servers."""
    url = urlsplit(servers.postgres.url)._replace(path=f"/{database}").geturl()
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        DATABASE_URL=url,  # pyright: ignore[reportCallIssue]
        REDIS_URL=servers.valkey.url,  # pyright: ignore[reportCallIssue]
        **changes,  # pyright: ignore[reportArgumentType]
    )


def _execute(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()
