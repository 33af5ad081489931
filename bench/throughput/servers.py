"""One Postgres and one Valkey for all that is measured, and a fresh database for each time."""

# pyright: reportUnknownMemberType=false

import itertools
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psycopg2
from redis import Redis

from dev.fleet import Fleet
from dev.services import Services, Urls
from shared.errors import SetupError


class Servers:
    """Servers of this benchmark's own, up while in the `with` block; their data goes with them."""

    def __init__(self, folder: Path) -> None:
        """Starts nothing yet."""
        self._services = Services(folder, environment={})  # never those that somebody works with
        self._folder = folder
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self._services.down(delete=True)
        self._services.up()
        try:
            self._execute("CREATE DATABASE migrated")
            with Fleet(self._urls("migrated"), self._folder / "logs") as fleet:
                done = fleet.run("migrate")
        except BaseException:
            self.__exit__()
            raise
        if done.returncode:
            self.__exit__()
            raise SetupError(f"tagger migrate: {done.stderr.decode()}")
        return self

    def __exit__(self, *_: object) -> None:
        self._services.down(delete=True)

    @property
    def services(self) -> Services:
        """The servers, for who wants to break them."""
        return self._services

    @property
    def pids(self) -> dict[str, int]:
        """The servers' processes by name; their children belong to them."""
        both = (self._services.postgres, self._services.valkey)
        return {server.name: server.pid or 0 for server in both}

    @contextmanager
    def fresh(self) -> Generator[Urls]:
        """A migrated database of the caller's own and an empty Valkey."""
        name = f"measured_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE migrated")
        with closing(Redis.from_url(self._services.valkey.url)) as client:
            client.flushall()
        # What an earlier contestant left to be written is not to slow down this one.
        self._execute("CHECKPOINT")
        try:
            yield self._urls(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _urls(self, database: str) -> Urls:
        url = urlsplit(self._services.postgres.url)._replace(path=f"/{database}").geturl()
        return Urls(url, self._services.valkey.url)

    def _execute(self, statement: str) -> None:
        with closing(psycopg2.connect(self._services.postgres.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
