"""Connections to Postgres on which nothing waits for ever, whatever the server does.

The server's own time-outs end what takes it too long. A server that is frozen ends nothing,
and its machine still acknowledges every packet, so that no keep-alive notices either. Here a
thread of this process hangs up once a statement has gone without an answer for too long.
"""

import os
import socket
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, cast

import psycopg2.extensions

_LOOK_S = 0.5


class Deadline:
    """Hangs up on a server that keeps a statement waiting longer than its limit."""

    def __init__(self, limit_s: float) -> None:
        """Starts nothing yet; its thread comes with the first connection."""
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[float, int]] = {}  # by thread: since when, on which socket
        self._thread: threading.Thread | None = None

    def connect(self, dsn: str, **options: Any) -> "Connection":
        """A connection under this deadline; psycopg2's `connection_factory`."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_watch, args=(weakref.ref(self),), daemon=True, name="deadline"
                )
                self._thread.start()
        return Connection(dsn, deadline=self, **options)

    @contextmanager
    def waiting(self, connection: psycopg2.extensions.connection) -> Generator[None]:
        """This thread waits for an answer, until the block ends."""
        me = threading.get_ident()
        with suppress(psycopg2.Error):  # of one that is closed: it says so by itself
            self._waiting[me] = time.monotonic(), connection.fileno()
        try:
            yield
        finally:
            with self._lock:  # or the socket could be another's when it is hung up on
                self._waiting.pop(me, None)

    def look(self) -> None:
        """Hangs up on servers that have been silent for too long."""
        with self._lock:
            now = time.monotonic()
            for since, descriptor in [*self._waiting.values()]:
                if now - since > self._limit_s:
                    _hang_up(descriptor)


def _watch(reference: "weakref.ref[Deadline]") -> None:
    """Looks again and again, until nobody has the deadline any more."""
    while True:
        time.sleep(_LOOK_S)
        deadline = reference()
        if deadline is None:
            return
        deadline.look()
        del deadline  # or it would be held through the sleep


class Connection(psycopg2.extensions.connection):
    """psycopg2's connection, under a deadline."""

    def __init__(self, dsn: str, *, deadline: Deadline, **options: Any) -> None:
        try:
            super().__init__(dsn, **options)
        except psycopg2.Error:
            # Else the socket would stay open for as long as anybody keeps the error.
            self.close()
            raise
        self._deadline = deadline
        self.cursor_factory = Cursor

    def waiting(self) -> AbstractContextManager[None]:
        """This thread waits for an answer on it, until the block ends."""
        return self._deadline.waiting(self)

    def commit(self) -> None:
        with self.waiting():
            super().commit()

    def rollback(self) -> None:
        with self.waiting():
            super().rollback()


class Cursor(psycopg2.extensions.cursor):
    """psycopg2's cursor, under its connection's deadline."""

    def execute(self, *arguments: Any, **options: Any) -> None:
        with _waiting(self):
            super().execute(*arguments, **options)

    def executemany(self, *arguments: Any, **options: Any) -> None:
        with _waiting(self):
            super().executemany(*arguments, **options)

    def copy_expert(self, *arguments: Any, **options: Any) -> None:
        with _waiting(self):
            super().copy_expert(*arguments, **options)


def _waiting(cursor: Cursor) -> AbstractContextManager[None]:
    return cast("Connection", cursor.connection).waiting()


def _hang_up(descriptor: int) -> None:
    """Ends both directions; whoever reads from the socket is told at once."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as twin:
        twin.shutdown(socket.SHUT_RDWR)
