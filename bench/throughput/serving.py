"""A photo origin that costs next to nothing, since its CPU is taken from what is measured.

`python -m bench.throughput.serving FOLDER` serves until standard input closes: on one epoll loop,
out of memory, with answers whose heads are ready made. The n-th of the names that it reads first
is `/n`, under any query. It can answer late, at several loopback addresses, and over TLS; what is
asked for by a query that ends with `hang` it can keep waiting longer than all else. It is no server
for strangers: it reads just enough of a request to answer GET.
"""

import argparse
import contextlib
import heapq
import itertools
import resource
import select
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dev.processes import HOST

#: How a query ends whose answer hangs.
HANG: Final = "hang"
_MAX_HEAD_BYTES: Final = 16 << 10
_BACKLOG: Final = 1024
_NOT_FOUND: Final = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_READ, _WRITE = select.EPOLLIN, select.EPOLLOUT
_HANG: Final = HANG.encode()


class _Client:
    """One connection: what it sent so far, and what it is still owed."""

    __slots__ = ("keep", "owed", "received", "shaken", "wire")

    def __init__(self, connection: socket.socket, *, shaken: bool) -> None:
        self.wire = connection
        self.received = b""
        self.owed: memoryview | None = None
        self.keep = True
        self.shaken = shaken  #: whether TLS has been agreed on, or none is needed


class _Server:
    def __init__(
        self,
        bodies: Sequence[bytes],
        *,
        latency_s: float,
        hang_s: float,
        hosts: int,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._answers = {f"/{n}".encode(): _answer(body) for n, body in enumerate(bodies)}
        self._latency_s = latency_s
        self._hang_s = hang_s or latency_s
        self._tls = tls
        self._epoll = select.epoll()
        self._listeners = {listener.fileno(): listener for listener in _listeners(hosts)}
        self._clients: dict[int, _Client] = {}
        self._late: list[tuple[float, int, _Client, bytes]] = []
        self._numbers = itertools.count()

    def run(self, leash: int) -> None:
        """Serves until the descriptor `leash` has something to read: its end."""
        for fd in (*self._listeners, leash):
            self._epoll.register(fd, _READ)
        while True:
            for fd, event in self._epoll.poll(self._pause_s()):
                if fd == leash:
                    return
                if fd in self._listeners:
                    self._accept(self._listeners[fd])
                else:
                    self._serve(self._clients[fd], event)
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, client, answer = heapq.heappop(self._late)
                if client.wire.fileno() >= 0:
                    self._send(client, memoryview(answer))

    @property
    def addresses(self) -> list[str]:
        """Where it listens, in order: `address:port` each."""
        names = [listener.getsockname() for listener in self._listeners.values()]
        return [f"{address}:{port}" for address, port in names]

    def _pause_s(self) -> float | None:
        return max(self._late[0][0] - time.monotonic(), 0.0) if self._late else None

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls:
                    connection = self._tls.wrap_socket(
                        connection, server_side=True, do_handshake_on_connect=False
                    )
                self._clients[connection.fileno()] = _Client(connection, shaken=not self._tls)
                self._epoll.register(connection.fileno(), _READ)

    def _serve(self, client: _Client, event: int) -> None:
        try:
            if not client.shaken:
                self._shake(client)
            elif event & _WRITE and client.owed is not None:
                self._send(client, client.owed)
            elif event & (_READ | select.EPOLLHUP | select.EPOLLERR):
                self._read(client)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError:
            self._close(client)

    def _shake(self, client: _Client) -> None:
        assert isinstance(client.wire, ssl.SSLSocket)  # noqa: S101  # only those shake hands
        client.wire.do_handshake()
        client.shaken = True
        # The first request may have come along; epoll does not tell of what TLS has read.
        self._read(client)

    def _read(self, client: _Client) -> None:
        data = client.wire.recv(_MAX_HEAD_BYTES)
        received = client.received + data if client.received else data
        if not data or len(received) > _MAX_HEAD_BYTES:
            self._close(client)
            return
        if not received.endswith(b"\r\n\r\n"):
            client.received = received
            return
        client.received = b""
        client.keep = b"onnection: close" not in received
        target, _, query = received[4 : received.find(b" ", 4)].partition(b"?")
        answer = self._answers.get(target, _NOT_FOUND)
        late_s = self._hang_s if query.endswith(_HANG) else self._latency_s
        if late_s:
            due = time.monotonic() + late_s
            heapq.heappush(self._late, (due, next(self._numbers), client, answer))
        else:
            self._send(client, memoryview(answer))

    def _send(self, client: _Client, rest: memoryview) -> None:
        waited = client.owed is not None
        try:
            sent = client.wire.send(rest)
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except OSError:
            self._close(client)
            return
        client.owed = rest[sent:] if sent < len(rest) else None
        if client.owed is None and not client.keep:
            self._close(client)
        elif waited != (client.owed is not None):
            self._epoll.modify(client.wire.fileno(), _WRITE if client.owed is not None else _READ)

    def _close(self, client: _Client) -> None:
        fd = client.wire.fileno()
        if fd >= 0:
            self._epoll.unregister(fd)
            del self._clients[fd]
            client.wire.close()


def _listeners(hosts: int) -> list[socket.socket]:
    """A socket at each of the first loopback addresses, 127.0.0.1 on, all at one port."""
    first = socket.create_server((HOST, 0), backlog=_BACKLOG)
    _, port = first.getsockname()
    others = [(f"127.0.0.{host}", port) for host in range(2, hosts + 1)]
    opened = [first, *(socket.create_server(other, backlog=_BACKLOG) for other in others)]
    for listener in opened:
        listener.setblocking(False)
    return opened


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.throughput.serving")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--hang-ms", type=int, default=0)
    parser.add_argument("--hosts", type=int, choices=range(1, 255), default=1)
    parser.add_argument("--certificate", type=Path)
    options = parser.parse_args()
    # Clients keep connections to each of the addresses.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # By standard input, which ends with an empty line: no command line takes thousands of names.
    names = list(iter(lambda: sys.stdin.readline().rstrip("\n"), ""))
    tls = None
    if options.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate)
    server = _Server(
        [(options.folder / name).read_bytes() for name in names],
        latency_s=options.latency_ms / 1000,
        hang_s=options.hang_ms / 1000,
        hosts=options.hosts,
        tls=tls,
    )
    scheme = "https" if tls else "http"
    sys.stdout.write(" ".join(f"{scheme}://{address}" for address in server.addresses) + "\n")
    sys.stdout.flush()
    server.run(sys.stdin.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(_main())
