"""A TCP proxy that freezes, delays or resets what goes through it."""

import contextlib
import socket
import struct
import threading
import time
from typing import Self


class Proxy:
    """Forwards connections to one server until the `with` block ends.

    Attributes:
        port: where it listens.
        delay_s: how long each piece of data is held back, in each direction.
    """

    def __init__(
        self,
        server: tuple[str, int],
        *,
        address: str = "127.0.0.1",
        listener: socket.socket | None = None,
    ) -> None:
        """Listens at a free port of `address`, or on a listener, also one of another network."""
        self._server = server
        self._listener = listener or socket.create_server((address, 0), backlog=256)
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._open = threading.Event()
        self._open.set()
        self.port: int = self._listener.getsockname()[1]
        self.delay_s = 0.0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._take_links():
            link.close()

    def freeze(self) -> int:
        """Lets nothing more through the connections there are, and tells neither end.

        New connections work. Returns how many were frozen.
        """
        links = self._take_links(forget=False)
        for link in links:
            link.frozen = True
        return len(links)

    def hold(self) -> None:
        """Lets nothing through, new connections included, until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Lets everything through again that was not frozen for good."""
        self._open.set()

    def reset(self) -> int:
        """Breaks all connections with a reset to both ends; returns how many."""
        links = self._take_links()
        for link in links:
            link.close(reset=True)
        return len(links)

    def _take_links(self, *, forget: bool = True) -> list["_Link"]:
        with self._lock:
            links = [link for link in self._links if not link.closed]
            if forget:
                self._links.clear()
            return links

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._open.wait()
        try:
            server = socket.create_connection(self._server, timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        link = _Link(self, client, server)
        with self._lock:
            self._links.append(link)
        for here, there in ((client, server), (server, client)):
            threading.Thread(target=link.pump, args=(here, there), daemon=True).start()

    def wait_until_open(self) -> None:
        """Returns once nothing is held back."""
        self._open.wait()


class _Link:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._ends = (client, server)
        self.frozen = False
        self.closed = False

    def pump(self, here: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := here.recv(1 << 16):
                self._proxy.wait_until_open()
                time.sleep(self._proxy.delay_s)
                if self.frozen:
                    return  # both sockets stay open, and silent
                there.sendall(data)
        if not self.frozen:
            self.close()

    def close(self, *, reset: bool = False) -> None:
        self.closed = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # A thread that reads keeps the socket alive until it wakes.
                end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
                end.close()
