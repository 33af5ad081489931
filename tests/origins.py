"""An HTTP origin on loopback that misbehaves to order, on raw sockets."""

import contextlib
import itertools
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

#: Answers one request on a connection; returns whether the connection stays open.
Behaviour = Callable[["Origin", socket.socket], bool]

#: What an endless answer ends after all the same: a test without its guard must end, too.
_ENDLESS_DROPS = 1 << 12


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, once its connection was done with it."""

    path: str
    at: float  #: when it was read (monotonic)
    held_s: float  #: until it was answered, or its client hung up


class Origin:
    """Serves each path as it was told to, until the `with` block ends.

    Attributes:
        port: where it listens, on 127.0.0.1 unless told otherwise.
        accepted: how many connections it has accepted.
        dialled: the same by the address of ours that was dialled.
        requests: the head of each request, as it was read.
        visits: the requests that are over.
        closing: set when the origin stops, for behaviours that wait.
    """

    def __init__(
        self, *, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, port), family=family, backlog=256)
        self._address = address
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._paths: dict[str, Behaviour] = {}
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self.dialled: Counter[str] = Counter()
        self.requests: list[bytes] = []
        self.visits: list[Visit] = []
        self.closing = threading.Event()

    def serve(self, path: str, behaviour: Behaviour) -> str:
        """Answer `path` like this from now on; returns its URL."""
        self._paths[path] = behaviour
        return self.url(path)

    def url(self, path: str, *, host: str | None = None) -> str:
        """The URL of `path`, under another name of this machine if one is given."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{host or self._address}:{self.port}{path}"

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        # close() alone does not wake a thread that is blocked in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(timeout=5)

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                self.dialled[connection.getsockname()[0]] += 1
                self._open.add(connection)
            self._run(lambda accepted=connection: self._hold(accepted))

    def _hold(self, accepted: socket.socket) -> None:
        connection = accepted
        try:
            if self._tls:
                connection = self._tls.wrap_socket(accepted, server_side=True)
            while self._answer_one(connection):
                pass
        except OSError:
            pass  # the client has hung up, which is what many tests are about
        finally:
            with self._lock:
                self._open.discard(accepted)
            connection.close()
            accepted.close()

    def _answer_one(self, connection: socket.socket) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(65536)
            if not more:
                return False
            head += more
        self.requests.append(head)
        path = head.split(b" ", 2)[1].decode("latin-1")
        behaviour = self._paths.get(path) or self._paths.get(path.partition("?")[0])
        at = time.monotonic()
        try:
            return (behaviour or answer(404))(self, connection)
        finally:
            self.visits.append(Visit(path, at, time.monotonic() - at))


def answer(
    status: int, body: bytes = b"", *, headers: Mapping[str, str] | None = None
) -> Behaviour:
    """A complete answer, after which the connection stays open."""
    fields = {"Content-Length": str(len(body)), **(headers or {})}
    return raw(_head(status, fields) + body, keep=True)


def redirect(location: str, *, status: int = 302, body: bytes = b"") -> Behaviour:
    """A redirect to `location`, sent as it is."""
    return answer(status, body, headers={"Location": location})


def raw(data: bytes, *, keep: bool = False) -> Behaviour:
    """These bytes, and then the end unless the connection is kept."""

    def behave(_: Origin, connection: socket.socket) -> bool:
        connection.sendall(data)
        return keep

    return behave


def reset(data: bytes = b"") -> Behaviour:
    """These bytes, and then a reset instead of a proper end."""

    def behave(_: Origin, connection: socket.socket) -> bool:
        connection.sendall(data)
        time.sleep(0.05)  # let the bytes arrive: a reset throws away what is on its way
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return behave


def hang(data: bytes = b"") -> Behaviour:
    """These bytes, and then silence."""

    def behave(_: Origin, connection: socket.socket) -> bool:
        connection.sendall(data)
        while connection.recv(65536):  # until the client, or the origin's end, hangs up
            pass
        return False

    return behave


def after(delay_s: float, behaviour: Behaviour) -> Behaviour:
    """The same, later."""

    def behave(origin: Origin, connection: socket.socket) -> bool:
        origin.closing.wait(delay_s)
        return behaviour(origin, connection)

    return behave


def once(gate: threading.Event, behaviour: Behaviour) -> Behaviour:
    """The same, once the gate is open."""

    def behave(origin: Origin, connection: socket.socket) -> bool:
        while not gate.wait(0.02) and not origin.closing.is_set():
            pass
        return behaviour(origin, connection)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Another behaviour at each request; the last one stays."""
    turns = itertools.count()

    def behave(origin: Origin, connection: socket.socket) -> bool:
        return behaviours[min(next(turns), len(behaviours) - 1)](origin, connection)

    return behave


def drip(start: bytes, drop: bytes, *, every_s: float = 0.02) -> Behaviour:
    """The start at once, then one drop at a time, for longer than anybody should listen."""

    def behave(origin: Origin, connection: socket.socket) -> bool:
        connection.sendall(start)
        for _ in range(_ENDLESS_DROPS):
            if origin.closing.wait(every_s):
                break
            connection.sendall(drop)
        return False

    return behave


def endless_chunks(*, size: int = 1 << 16) -> Behaviour:
    """A chunked body as fast as it is read, of more bytes than anybody should keep."""
    return drip(
        _head(200, {"Transfer-Encoding": "chunked"}),
        f"{size:x}\r\n".encode() + bytes(size) + b"\r\n",
        every_s=0,
    )


def _head(status: int, fields: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()
