"""Request bodies, read within bounds of bytes and time, and of memory over all requests."""

import asyncio
import threading
from typing import Final

from starlette.types import Receive

from producer.http.problems import TOO_BUSY, TOO_LARGE, TOO_SLOW, RequestRefused

#: A client that still sends when it is refused reads the answer only after that.
_LINGER_S: Final = 5.0


class Room:
    """How much this process takes on at once: bytes that are read, requests that are recorded."""

    def __init__(self, *, requests: int, bytes_: int) -> None:
        self._bytes_left = bytes_
        self._requests = threading.BoundedSemaphore(requests)

    def hold(self, count: int) -> None:
        """Counts bytes in; `release` counts them out. On the event loop only.

        Raises:
            RequestRefused: there is no room for them (`TOO_BUSY`).
        """
        if count > self._bytes_left:
            raise RequestRefused(TOO_BUSY, "many large bodies arrive at once")
        self._bytes_left -= count

    def release(self, count: int) -> None:
        """Counts bytes out."""
        self._bytes_left += count

    def enter(self) -> None:
        """Counts a whole request in; `leave` counts it out, in any thread.

        Raises:
            RequestRefused: as many are at work as may be (`TOO_BUSY`).
        """
        if not self._requests.acquire(blocking=False):
            raise RequestRefused(TOO_BUSY)

    def leave(self) -> None:
        """Counts a request out."""
        self._requests.release()


class Upload:
    """One request's body."""

    def __init__(self, receive: Receive, room: Room) -> None:
        """Reads nothing yet.

        Args:
            receive: where ASGI hands out the body.
            room: what all bodies share; this one's bytes are in it until `forget`.
        """
        self._receive = receive
        self._room = room
        self._held = 0
        self.complete = False

    async def read(self, *, declared: bytes | None, most: int, deadline_s: float) -> bytes:
        """All of it.

        Args:
            declared: its Content-Length; what comes is counted whatever that says.
            most: bytes it may have.
            deadline_s: from now to its end.

        Raises:
            RequestRefused: `TOO_LARGE`, `TOO_SLOW` or `TOO_BUSY`.
        """
        if declared is not None and int(declared) > most:
            raise RequestRefused(TOO_LARGE, f"{int(declared)} bytes, at most {most}")
        body = bytearray()
        try:
            async with asyncio.timeout(deadline_s):
                while not self.complete:
                    chunk = await self._next()
                    if chunk is None:
                        raise RequestRefused(TOO_SLOW, "the connection was closed")
                    if len(body) + len(chunk) > most:
                        raise RequestRefused(TOO_LARGE, f"at most {most} bytes")
                    self._room.hold(len(chunk))
                    self._held += len(chunk)
                    body += chunk
        except TimeoutError:
            raise RequestRefused(TOO_SLOW, f"{deadline_s:g} s") from None
        return bytes(body)

    async def discard(self) -> None:
        """Drops what is still to come, for a while."""
        try:
            async with asyncio.timeout(_LINGER_S):
                while not self.complete:
                    await self._next()
        except TimeoutError:
            pass

    def forget(self) -> None:
        """Gives the room back; the bytes must be gone by then."""
        self._room.release(self._held)
        self._held = 0

    async def _next(self) -> bytes | None:
        """The next bytes; None where the client is gone."""
        message = await self._receive()
        self.complete = not message.get("more_body", False)
        return message.get("body", b"") if message["type"] == "http.request" else None
