"""Many photos over HTTP at once, each within its deadline and its byte limit.

HTTP/1.1 only, so that one photo's stall never holds up another's connection.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar, cast

from shared.errors import FetchError
from shared.settings import PhotoLimits
from worker.fetch.call import Call, Download, Errand, host_of
from worker.fetch.gates import Gates
from worker.fetch.loop import FetchLoop
from worker.fetch.notices import NoticeBoard
from worker.fetch.policy import check_hop

T = TypeVar("T")


def _whole(download: Download) -> Download:
    return download


class Downloader:
    """Fetches photos and keeps connections between calls. Any number of threads may share it."""

    def __init__(
        self,
        settings: PhotoLimits,
        *,
        leave_at: Callable[[], float] = lambda: math.inf,
        resting: bool = False,
        board: NoticeBoard | None = None,
    ) -> None:
        """Starts nothing yet; its thread comes with the first photo.

        Args:
            settings: limits of each photo and of all together.
            leave_at: asked again and again; from then on (monotonic) all photos are `Overdue`,
                those that are on their way too.
            resting: whether hosts in trouble are left alone for a while, their photos ending as
                `HostResting`: for a caller that can come back to them.
            board: where the processes of a fleet share what they see of hosts.
        """
        self._settings = settings
        gates = Gates(settings, board, resting=resting)
        self._loop = FetchLoop(settings, gates, leave_at=leave_at)

    def fetch(
        self,
        urls: Sequence[str],
        *,
        deadline_s: float,
        stragglers_s: float | None = None,
        until: float | None = None,
        take: Callable[[Download], T] = _whole,
        quick: Callable[[Download], T | None] | None = None,
    ) -> list[T | FetchError]:
        """What is made of the photo at each URL, or why there is none, in their order.

        A photo's deadline counts from its own start and covers everything: names, TLS,
        redirects, drips. It starts when one of its host's `connections_per_host` is free; one
        for which none was free for twice `deadline_s` is too slow. So a call takes at most three
        times `deadline_s`, however many photos a hanging host has in it, and longer only where
        photos arrive faster than they are taken.

        Args:
            urls: where the photos are.
            deadline_s: of each photo.
            stragglers_s: if given, what the last tenth of the photos get once the others are
                there, or half as long as those took where that is longer; then they are too slow.
            until: when no photo is started any more (monotonic); the rest are `Overdue`.
            take: makes something of a photo as it arrives, on the calling thread, so that bodies
                need not pile up until the last one is there.
            quick: if given, is asked first, on the thread that fetches: it must take a
                millisecond at most, and leave the photo to `take` by returning None.

        Raises:
            Exception: what `take` or `quick` raises; it ends the call.
        """
        now = time.monotonic()
        call: Call[T] = Call(
            len(urls),
            deadline_s=deadline_s,
            stragglers_s=stragglers_s,
            until=until,
            quick=quick,
            now=now,
        )
        errands = self._errands(call, urls, now)
        if errands:
            self._loop.submit(errands)
            try:
                while self._take_next(call, take):
                    pass
            except BaseException:
                self._loop.cancel(cast("Call[object]", call))
                raise
        # Every place was written by now: by a photo's end, or above for a bad URL.
        return cast("list[T | FetchError]", call.results)

    def room(self, photos: int, *, timeout_s: float) -> AbstractContextManager[bool]:
        """A block to claim so many photos in, entered once they will be started soon.

        It is told whether they will: after `timeout_s` it is entered in any case. What waits for
        hosts that do not answer keeps nobody out.
        """
        return self._loop.room.hold(photos, timeout_s)

    def close(self) -> None:
        """Close all connections. May wait for a name look-up that hangs (seconds)."""
        self._loop.close()

    def _errands(self, call: Call[T], urls: Sequence[str], now: float) -> list[Errand]:
        errands: list[Errand] = []
        for place, url in enumerate(urls):
            try:
                checked = check_hop(url, self._settings)
            except FetchError as error:
                call.results[place] = error.with_traceback(None)
            else:
                host = host_of(checked)
                errands.append(Errand(cast("Call[object]", call), place, host, checked, now))
                call.expect()
        return errands

    def _take_next(self, call: Call[T], take: Callable[[Download], T]) -> bool:
        """Takes the next photo that arrives; False when there is none any more."""
        download = call.next()
        if download is None:
            return False
        try:
            call.results[download.place] = take(download)
        finally:
            self._loop.taken(len(download.body))
        return True
