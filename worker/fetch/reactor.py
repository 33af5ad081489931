"""libcurl's multi handle driven by poll(2): transfers started, waited for, collected."""

import contextlib
import math
import select
import socket
import time
from typing import Final

import pycurl

_INTEREST: Final = {
    pycurl.POLL_IN: select.POLLIN,
    pycurl.POLL_OUT: select.POLLOUT,
    pycurl.POLL_INOUT: select.POLLIN | select.POLLOUT,
}


class Reactor:
    """The transfers in flight of one thread, which another may wake.

    Not by `CurlMulti.select`, which is select(2) and cannot wait for a descriptor of 1024 or
    more; nor by epoll, since connections come and go with each photo, at a system call each.
    """

    def __init__(self, *, connections: int, connections_per_host: int) -> None:
        """Starts nothing yet.

        Args:
            connections: kept open for the next transfers; each may hold a file descriptor.
            connections_per_host: the most that are open to one.
        """
        self._poll = select.poll()
        self._timer_at: float | None = None
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)
        self._poll.register(self._wakened, select.POLLIN)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        # Those in use count, too: with fewer, each transfer's end would close another's.
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        # Idle ones to old hosts go when new hosts need theirs.
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, connections)
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

    def wait(self, timeout_s: float) -> list[tuple[pycurl.Curl, int, str]]:
        """The transfers that have ended: handle, libcurl's code (0 is success) and its words.

        Returns after `timeout_s` or earlier, with or without any.
        """
        if self._timer_at is not None:
            timeout_s = min(timeout_s, max(self._timer_at - time.monotonic(), 0.0))
        # Rounded up, or it would return a moment before its timer.
        for fd, event in self._poll.poll(math.ceil(timeout_s * 1000)):
            if fd == self._wakened.fileno():
                self._wakened.recv(4096)
                continue
            # What is neither is an error, which either will find.
            ready = (pycurl.CSELECT_IN if event & ~select.POLLOUT else 0) | (
                pycurl.CSELECT_OUT if event & ~select.POLLIN else 0
            )
            self._multi.socket_action(fd, ready)
        if self._timer_at is not None and time.monotonic() >= self._timer_at:
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return self._collect()

    def close(self) -> None:
        """Close every connection. Waits for name look-ups that still run."""
        self._multi.close()
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
        if interest is not None:
            self._poll.register(fd, interest)  # again, where it changes
        else:
            with contextlib.suppress(KeyError):
                self._poll.unregister(fd)

    def _set_timer(self, timeout_ms: int) -> None:
        self._timer_at = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
