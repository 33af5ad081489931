"""Threads for what waits for photos' hosts: however these hang, every other page has its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from shared.errors import Busy

T = TypeVar("T")

_THREADS: Final = 16
#: A page of the queue asks for two dozen photos at once, so some have to wait.
_WAIT_S: Final = 8.0


class PhotoThreads:
    """Runs so many calls at once, in one event loop; others wait for a while."""

    def __init__(self, threads: int = _THREADS, *, wait_s: float = _WAIT_S) -> None:
        """Starts none yet."""
        self._wait_s = wait_s
        self._room = asyncio.Semaphore(threads)
        self._threads = ThreadPoolExecutor(threads, "photos")

    async def run(self, work: Callable[[], T]) -> T:
        """What the call returns.

        Raises:
            Busy: no thread was free in time.
            Exception: what the call raises.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                await self._room.acquire()
        except TimeoutError:
            raise Busy from None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._room.release()

    def close(self) -> None:
        """Lets calls end that are under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)
