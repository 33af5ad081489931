"""libcurl's multi handle driven by a selector: transfers started, waited for, collected."""

import contextlib
import selectors
import socket
import time
from typing import Final

import pycurl

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_INTEREST: Final = {
    pycurl.POLL_IN: _READ,
    pycurl.POLL_OUT: _WRITE,
    pycurl.POLL_INOUT: _READ | _WRITE,
}


class Reactor:
    """The transfers in flight of one thread, which another may wake.

    A selector, because `CurlMulti.select` is select(2): it cannot wait for a descriptor of
    1024 or more, and a busy process has those.
    """

    def __init__(self, *, connections: int, connections_per_host: int) -> None:
        """Starts nothing yet.

        Args:
            connections: kept open for the next transfers; each may hold a file descriptor.
            connections_per_host: the most that are open to one.
        """
        self._selector = selectors.DefaultSelector()
        self._timer_at: float | None = None
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)
        self._selector.register(self._wakened, _READ)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        # Those in use count, too: with fewer, each transfer's end would close another's.
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        # Redirects may lead many transfers to one host; libcurl then makes them queue.
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, connections_per_host)

    def start(self, curl: pycurl.Curl) -> None:
        """Begin a transfer.

        Raises:
            pycurl.error: libcurl does not take it.
        """
        self._multi.add_handle(curl)

    def abandon(self, curl: pycurl.Curl) -> None:
        """Stop a transfer that is under way and forget it."""
        self._multi.remove_handle(curl)

    def wake(self) -> None:
        """Make `wait` return soon. Any thread may call it."""
        # A full pipe will wake it as well as one more byte; one that is closed sleeps no more.
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def wait(self, timeout_s: float | None) -> list[tuple[pycurl.Curl, int, str]]:
        """The transfers that have ended: handle, libcurl's code (0 is success) and its words.

        Returns after `timeout_s` or earlier, with or without any; with None, not without reason.
        """
        if self._timer_at is not None:
            timer_s = max(self._timer_at - time.monotonic(), 0.0)
            timeout_s = timer_s if timeout_s is None else min(timeout_s, timer_s)
        for key, mask in self._selector.select(timeout_s):
            if key.fileobj is self._wakened:
                self._wakened.recv(4096)
                continue
            ready = (pycurl.CSELECT_IN if mask & _READ else 0) | (
                pycurl.CSELECT_OUT if mask & _WRITE else 0
            )
            self._multi.socket_action(key.fd, ready)
        if self._timer_at is not None and time.monotonic() >= self._timer_at:
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return self._collect()

    def close(self) -> None:
        """Close every connection. Waits for name look-ups that still run."""
        self._multi.close()
        self._selector.close()
        self._waker.close()
        self._wakened.close()

    def _collect(self) -> list[tuple[pycurl.Curl, int, str]]:
        ended: list[tuple[pycurl.Curl, int, str]] = []
        left = 1
        while left:
            left, succeeded, failed = self._multi.info_read()
            ended += [(curl, pycurl.E_OK, "") for curl in succeeded]
            ended += failed
        for curl, _, _ in ended:
            self._multi.remove_handle(curl)
        return ended

    def _watch(self, what: int, fd: int, _multi: object, _data: object) -> None:
        interest = _INTEREST.get(what)
        known = fd in self._selector.get_map()
        if interest is None:
            if known:
                self._selector.unregister(fd)
        elif known:
            self._selector.modify(fd, interest)
        else:
            self._selector.register(fd, interest)

    def _set_timer(self, timeout_ms: int) -> None:
        self._timer_at = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
