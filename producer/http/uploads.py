"""Request bodies, read within bounds of bytes and time, and of memory over all requests.

Nobody has shown a signature while a body arrives. So whoever sends large ones and never ends them
must not keep out those who do: small bodies need no room, and for large ones the slowest makes way.
"""

import asyncio
import threading
from typing import Final

from starlette.types import Receive

from producer.http.problems import TOO_BUSY, TOO_LARGE, TOO_SLOW, RequestRefused

#: A client that still sends when it is refused reads the answer only after that.
_LINGER_S: Final = 5.0
#: What each body may have outside the room that all share; `max_connections` bounds how many there
#: are. Most events are smaller.
_OWN_BYTES: Final = 32 << 10

_CROWDED: Final = "many large bodies arrive at once, and the slowest make way"


class Room:
    """How much this process takes on at once: bytes that are read, requests that are recorded."""

    def __init__(self, *, requests: int, bytes_: int) -> None:
        self._bytes_left = bytes_
        self._uploads: set[Upload] = set()  #: with bytes in it
        self._requests = threading.BoundedSemaphore(requests)

    def hold(self, upload: "Upload", count: int) -> None:
        """Counts bytes of an upload in; `release` counts them out. On the event loop only.

        Where there is no room for them, the uploads that arrive most slowly are dropped.

        Raises:
            RequestRefused: this is the slowest one, or none can be dropped (`TOO_BUSY`).
        """
        self._uploads.add(upload)
        while count > self._bytes_left:
            arriving = (other for other in self._uploads if not other.complete)
            slowest = min(arriving, key=Upload.pace, default=upload)
            if slowest is upload:
                raise RequestRefused(TOO_BUSY, _CROWDED)
            slowest.drop()
        self._bytes_left -= count

    def release(self, upload: "Upload", count: int) -> None:
        """Counts all bytes of an upload out."""
        self._uploads.discard(upload)
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
            room: what all bodies share; those of this one's bytes that are beyond its own are in
                it until `forget`.
        """
        self._receive = receive
        self._room = room
        self._received = self._held = 0  #: bytes: all, and those in the room
        self._began_at = 0.0  #: loop time
        self._deadline = asyncio.timeout(None)
        self._dropped = False
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
        self._began_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(deadline_s) as self._deadline:
                while not self.complete:
                    chunk = await self._next()
                    if self._dropped:
                        raise RequestRefused(TOO_BUSY, _CROWDED)
                    if chunk is None:
                        raise RequestRefused(TOO_SLOW, "the connection was closed")
                    if len(body) + len(chunk) > most:
                        raise RequestRefused(TOO_LARGE, f"at most {most} bytes")
                    self._hold(len(chunk))
                    body += chunk
        except TimeoutError:
            if self._dropped:
                raise RequestRefused(TOO_BUSY, _CROWDED) from None
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

    def pace(self) -> float:
        """Bytes a second, from its beginning until now."""
        lasted_s = asyncio.get_running_loop().time() - self._began_at
        return self._received / max(lasted_s, 0.001)

    def drop(self) -> None:
        """Makes way for others: what has arrived of it is let go, and its reader is told."""
        self._dropped = True
        self.forget()
        if not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def forget(self) -> None:
        """Gives the room back; the bytes must be gone by then, or go at once."""
        self._room.release(self, self._held)
        self._held = 0

    def _hold(self, count: int) -> None:
        self._received += count
        more = max(0, self._received - _OWN_BYTES) - self._held
        if more > 0:
            self._room.hold(self, more)
            self._held += more

    async def _next(self) -> bytes | None:
        """The next bytes; None where the client is gone."""
        message = await self._receive()
        self.complete = not message.get("more_body", False)
        return message.get("body", b"") if message["type"] == "http.request" else None
