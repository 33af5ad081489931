"""A real Postgres and a real Valkey for one project folder, started from pip's wheels."""

import fcntl
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dev.postgres import Postgres, postgres_version
from dev.processes import write_private
from dev.server import Server
from dev.valkey import Valkey, valkey_version
from shared.errors import SetupError
from shared.servers import given_secret

DEFAULT_FOLDER = Path(".tagger")


@dataclass(frozen=True)
class Urls:
    """Where the servers are. Not shown when printed: they carry passwords."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)


@dataclass(frozen=True)
class ServerStatus:
    """What `status` tells about one server. `url` has no password."""

    name: str
    running: bool
    pid: int | None
    port: int | None
    version: str | None
    folder: Path | None  #: None for a server that the environment names
    url: str | None


class Services:
    """The servers of one data folder.

    A server that DATABASE_URL or REDIS_URL names, or the file of DATABASE_URL_FILE or
    REDIS_URL_FILE, is used as it is and never touched.
    """

    def __init__(
        self, folder: Path = DEFAULT_FOLDER, environment: Mapping[str, str] = os.environ
    ) -> None:
        """Starts nothing yet.

        Args:
            folder: where the servers keep their data.
            environment: where DATABASE_URL and REDIS_URL are looked up; with {} the servers
                are always this folder's own.
        """
        self._environment = environment
        self.folder = folder.resolve()
        self.postgres = Postgres(self.folder)
        self.valkey = Valkey(self.folder)

    def up(self) -> Urls:
        """Start what is not running and return where everything is.

        Any number of processes may call this at once; they get the same servers.

        Raises:
            SetupError: a server does not start, or its wheel is not installed.
        """
        with self._alone():
            return Urls(
                self._provided("DATABASE_URL", self.postgres),
                self._provided("REDIS_URL", self.valkey),
            )

    def down(self, *, delete: bool = False) -> None:
        """Stop both servers, cleanly, and delete their data where `delete`; idempotent.

        Raises:
            SetupError: a server does not stop.
        """
        if not self.folder.exists():
            return
        with self._alone():
            self._environment_file.unlink(missing_ok=True)
            for server in (self.valkey, self.postgres):
                if delete:
                    server.delete()
                else:
                    server.stop()

    def status(self) -> list[ServerStatus]:
        """What is there, one entry a server, without starting anything.

        Raises:
            SetupError: the folder is another user's, or a given URL is not one.
        """
        try:
            return [
                _foreign_status(server, given) if given else _status(server)
                for server, given in (
                    (self.postgres, self._given("DATABASE_URL", self.postgres)),
                    (self.valkey, self._given("REDIS_URL", self.valkey)),
                )
            ]
        except OSError as error:
            raise SetupError(f"the servers of {self.folder}: {error}") from error

    @property
    def _environment_file(self) -> Path:
        return self.folder / "services.env"

    def _provided(self, variable: str, server: Server) -> str:
        given = self._given(variable, server)
        if given:
            return given
        server.start()
        self._write_environment()
        return server.url

    def _given(self, variable: str, server: Server) -> str | None:
        """The URL that the environment names, unless it is this very server's (`--print-env`)."""
        given = given_secret(self._environment, variable)
        ours = server.port is not None and given == server.url
        return None if ours else given

    def _write_environment(self) -> None:
        servers = (("DATABASE_URL", self.postgres), ("REDIS_URL", self.valkey))
        lines = [f"{variable}={server.url}\n" for variable, server in servers if server.alive()]
        write_private(self._environment_file, "".join(lines))

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Let no other process start or stop these servers meanwhile."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "services.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise SetupError(f"the servers of {self.folder}: {error}") from error


def _status(server: Server) -> ServerStatus:
    known = server.port is not None
    return ServerStatus(
        name=server.name,
        running=server.alive(),
        pid=server.pid,
        port=server.port,
        version=server.version(),
        folder=server.home if known else None,
        url=_masked(server.url) if known else None,
    )


def _foreign_status(server: Server, url: str) -> ServerStatus:
    try:
        port, masked = urlsplit(url).port, _masked(url)
    except ValueError:
        raise SetupError(f"the URL given for {server.name} is not one") from None
    found = postgres_version(url) if isinstance(server, Postgres) else valkey_version(url)
    return ServerStatus(server.name, found is not None, None, port, found, None, masked)


def _masked(url: str) -> str:
    """The URL without its password, and without its query, which may hold one."""
    parts = urlsplit(url)
    # What is no URL may be a password, and an @ behind the host ends one with a / in it.
    if not parts.scheme or not parts.netloc or "@" in parts.path:
        raise ValueError("no URL")
    credentials, at, address = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    netloc = f"{user}{colon}{'***' if colon else ''}{at}{address}"
    return parts._replace(netloc=netloc, query="", fragment="").geturl()
