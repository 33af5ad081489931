"""The photos that reviewers see: fetched by this server, decoded, and made into JPEGs of ours.

A browser never asks a seller's host for anything: it would tell it who looks at what, and when.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from review.lru import Lru
from shared.errors import FetchError, TooSlow
from shared.settings import PhotoLimits
from worker.decode.caption import captioned
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
#: A host that hangs is not asked again for every picture that shows the photo.
_FAILED_S: Final = 60.0
_FAILURES: Final = 1000
#: Photos that are decoded at once: each may take all its pixels.
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
        self._failed: Lru[str, tuple[FetchError, float]] = Lru(_FAILURES)
        self._decoding = threading.BoundedSemaphore(_AT_ONCE)
        # The photo, its small form and its map are asked for at once, and fetched once.
        self._turns = [threading.Lock() for _ in range(_STRIPES)]

    def close(self) -> None:
        """Closes all connections."""
        self._downloader.close()

    def body(self, url: str) -> bytes:
        """The photo as its origin sends it, or sent it within the last minutes.

        Raises:
            FetchError: it cannot be had, or could not a moment ago.
        """
        turn = self._turns[hash(url) % _STRIPES]
        if not turn.acquire(timeout=_DEADLINE_S):
            raise TooSlow("others wait for it too")
        try:
            kept = self._find(url)
            if kept is not None:
                return kept
            [answer] = self._downloader.fetch([url], deadline_s=_DEADLINE_S)
            if isinstance(answer, FetchError):
                self._failed.put(url, (answer, time.monotonic() + _FAILED_S))
                raise answer
            self._keep(url, answer.body)
            return answer.body
        finally:
            turn.release()

    def jpeg(self, url: str, side: int, tagged_sha256: bytes) -> bytes:
        """The photo with `side` pixels at most, upright, without its metadata.

        Args:
            url: where it is.
            side: pixels.
            tagged_sha256: of the bytes that were tagged; over another photo that is written.

        Raises:
            PhotoError: it cannot be had or decoded.
        """
        body = self.body(url)
        header = sniff(body)
        with self._decoding:
            shown = shrink_to_jpeg(
                body,
                header,
                side=min(side, max(upright_size(header))),
                max_photo_pixels=self._limits.max_photo_pixels,
            )
        if hashlib.sha256(body).digest() != tagged_sha256:
            shown = captioned(shown, "Not the photo that was tagged")
        return shown

    def lit_up(self, url: str, heat: NDArray[np.float32], side: int) -> bytes:
        """The photo as `jpeg` gives it, dark where the heat is 0.

        Raises:
            PhotoError: as `jpeg`.
        """
        body = self.body(url)
        with self._decoding:
            return lit_up(
                body,
                sniff(body),
                heat,
                side=side,
                max_photo_pixels=self._limits.max_photo_pixels,
            )

    def _find(self, url: str) -> bytes | None:
        failed = self._failed.get(url)
        if failed is not None and failed[1] > time.monotonic():
            raise failed[0].with_traceback(None)
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
