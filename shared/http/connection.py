"""A client's connection, which cannot be held open for nothing.

uvicorn bounds the size of headers and the idleness between requests. A client that sends its
headers byte by byte, or never reads its answer, it would serve for ever.
"""

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.settings import Settings


class Connection(H11Protocol):
    """uvicorn's connection with further bounds; made by `bounded`."""

    settings: ClassVar[Settings]
    _headers_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts, unless there are as many as may be."""
        super().connection_made(transport)
        if len(self.connections) > self.settings.max_connections:
            transport.abort()
        else:
            self._expect_headers()

    def data_received(self, data: bytes) -> None:
        """Takes in what came; a request's first byte starts the time for its headers."""
        try:
            super().data_received(data)
        except h11.LocalProtocolError:
            # It broke the protocol in the middle of its answer: there is no other to give.
            self.transport.abort()
            return
        if self.conn.their_state is not h11.IDLE:
            self._stop_expecting()
        elif self._headers_due is None:
            self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        self._stop_expecting()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Waits for the next request, or ends."""
        super().on_response_complete()
        if self.transport.is_closing():
            # Closing waits until the client has read its answer, which it may never do.
            self.loop.call_later(self.settings.idle_connection_s, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """Ends a connection that was idle, whether its last answer was read or not."""
        self.transport.abort()

    def _expect_headers(self) -> None:
        self._headers_due = self.loop.call_later(
            self.settings.header_deadline_s, self.transport.abort
        )

    def _stop_expecting(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None


def bounded(settings: Settings) -> type[Connection]:
    """The class of connections with these bounds."""
    return type("BoundedConnection", (Connection,), {"settings": settings})
