"""The photos that reviewers see: fetched by this server, decoded, and made into JPEGs of ours.

A browser never asks a seller's host for anything: it would tell it who looks at what, and when.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import OriginUnavailable, PhotoError
from shared.settings import PhotoLimits
from worker.decode.heat import lit_up
from worker.decode.reencode import shrink_to_jpeg, upright_size
from worker.decode.sniff import sniff
from worker.fetch.download import Downloader

#: Pixels of the longer side.
LARGE: Final = 960
SMALL: Final = 160
_DEADLINE_S: Final = 8.0
#: What is kept of photos as they came, and for how long.
_KEPT_BYTES: Final = 64 << 20
_KEPT_S: Final = 600.0
#: Photos that are fetched or decoded at once: each may take `max_photo_bytes`, or all its pixels.
_AT_ONCE: Final = 4
_STRIPES: Final = 64


@dataclass(frozen=True, slots=True)
class _Kept:
    body: bytes
    until: float


class PhotoProxy:
    """Fetches and shows photos. Any number of threads may share it."""

    def __init__(self, limits: PhotoLimits) -> None:
        """Fetches nothing yet."""
        self._limits = limits
        self._downloader = Downloader(limits)
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        # The photo, its small form and its map are asked for at once, and fetched once.
        self._turns = [threading.Lock() for _ in range(_STRIPES)]

    def close(self) -> None:
        """Closes all connections."""
        self._downloader.close()

    def body(self, url: str) -> bytes:
        """The photo as its origin sends it, or sent it within the last minutes.

        Raises:
            FetchError: it cannot be had.
        """
        with self._turns[hash(url) % _STRIPES]:
            kept = self._find(url)
            if kept is not None:
                return kept
            with self._place():
                [answer] = self._downloader.fetch([url], deadline_s=_DEADLINE_S)
            if isinstance(answer, PhotoError):
                raise answer
            self._keep(url, answer.body)
            return answer.body

    def jpeg(self, url: str, side: int) -> bytes:
        """The photo with `side` pixels at most, upright, without its metadata.

        Raises:
            PhotoError: it cannot be had or decoded.
        """
        body = self.body(url)
        header = sniff(body)
        with self._place():
            return shrink_to_jpeg(
                body,
                header,
                side=min(side, max(upright_size(header))),
                max_photo_pixels=self._limits.max_photo_pixels,
            )

    def lit_up(self, url: str, heat: NDArray[np.float32], side: int) -> bytes:
        """The photo as `jpeg` gives it, dark where the heat is 0.

        Raises:
            PhotoError: as `jpeg`.
        """
        body = self.body(url)
        with self._place():
            return lit_up(
                body,
                sniff(body),
                heat,
                side=side,
                max_photo_pixels=self._limits.max_photo_pixels,
            )

    @contextmanager
    def _place(self) -> Generator[None]:
        """One of `_AT_ONCE`.

        Raises:
            OriginUnavailable: none was free in time.
        """
        if not self._room.acquire(timeout=_DEADLINE_S):
            raise OriginUnavailable("too many photos are looked at")
        try:
            yield
        finally:
            self._room.release()

    def _find(self, url: str) -> bytes | None:
        with self._lock:
            kept = self._kept.get(url)
            if kept is None or kept.until < time.monotonic():
                return None
            self._kept.move_to_end(url)
            return kept.body

    def _keep(self, url: str, body: bytes) -> None:
        with self._lock:
            before = self._kept.pop(url, None)
            self._bytes += len(body) - (len(before.body) if before else 0)
            self._kept[url] = _Kept(body, time.monotonic() + _KEPT_S)
            while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= len(oldest.body)
