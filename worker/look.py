"""What is seen of the photos of one batch: each body made into pixels and facts, or an error."""

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from shared.errors import DecodeError, Overdue, PhotoError, Unexpected
from shared.settings import PhotoLimits
from worker import shadow
from worker.decode import pixels
from worker.decode.containers import JPEG_START
from worker.decode.sniff import Header, sniff
from worker.fetch.call import Download
from worker.served import ServedModel, Serving

log = structlog.get_logger()

#: Decoding a JPEG of so many pixels and bytes takes a millisecond or two, about as long as another
#: thread may take to wake up. Other formats can hide far more work in as many bytes.
_QUICK_PIXELS = 640 * 640
_QUICK_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Seen:
    """A photo that was decoded: pixels uint8 [height, width, 3], and facts of its file."""

    pixels: NDArray[np.uint8]
    shadow_pixels: NDArray[np.uint8] | None  #: as a shadow model takes them, if it is to
    content_sha256: str
    content_bytes: int
    width: int
    height: int


class Look:
    """Decodes the photos of one batch for the models that serve it. Any thread may call it."""

    def __init__(
        self,
        limits: PhotoLimits,
        serving: Serving,
        photo_ids: Sequence[int],
        *,
        decoders: threading.Semaphore,
        until: float,
    ) -> None:
        """Decodes nothing yet.

        Args:
            limits: of photos.
            serving: the models whose pixels are made.
            photo_ids: the rows of the batch, in the order of its downloads' places.
            decoders: how many large photos the process decodes at once; each takes memory.
            until: when a large photo is no longer begun (monotonic): the batch has a lease.
        """
        self._until = until
        self._limits = limits
        self._decoders = decoders
        self._serving = serving
        self._photo_ids = photo_ids

    def take(self, download: Download) -> Seen | PhotoError:
        """The photo, or what is wrong with it."""
        with self._decoders:
            if time.monotonic() > self._until:
                return Overdue()
            seen = self._look(download, most_pixels=None)
        assert seen is not None  # noqa: S101  # which takes an upper bound
        return seen

    def quick(self, download: Download) -> Seen | PhotoError | None:
        """What `take` makes of a small photo; None for one that takes longer."""
        body = download.body
        if not body.startswith(JPEG_START) or len(body) > _QUICK_BYTES:
            return None
        if self._serving.shadow is not None:
            return None
        return self._look(download, most_pixels=_QUICK_PIXELS)

    def _look(self, download: Download, *, most_pixels: int | None) -> Seen | PhotoError | None:
        body = download.body
        try:
            header = sniff(body)
            if most_pixels is not None and header.width * header.height > most_pixels:
                return None
            decoded = self._pixels(body, header, self._serving.model)
        except DecodeError as error:
            # Its traceback would keep the body alive until the batch ends.
            return error.with_traceback(None)
        except Exception as error:  # one odd photo must not fail its batch
            log.exception("photo.unexpected")
            return Unexpected(type(error).__name__)
        return Seen(
            pixels=decoded,
            shadow_pixels=self._shadow_pixels(self._photo_ids[download.place], body, header),
            content_sha256=hashlib.sha256(body).hexdigest(),
            content_bytes=len(body),
            width=header.width,
            height=header.height,
        )

    def _shadow_pixels(
        self, photo_id: int, body: bytes, header: Header
    ) -> NDArray[np.uint8] | None:
        cast = self._serving.shadow
        if cast is None or not shadow.in_share(photo_id, cast.share):
            return None
        try:
            return self._pixels(body, header, cast.model)
        except Exception:  # the photo has its pixels for the model that counts
            log.exception("shadow.no_pixels", version=cast.model.version)
            return None

    def _pixels(self, body: bytes, header: Header, model: ServedModel) -> NDArray[np.uint8]:
        return pixels.to_pixels(
            body,
            header=header,
            width=model.input_width,
            height=model.input_height,
            max_photo_pixels=self._limits.max_photo_pixels,
            min_photo_elements=self._limits.min_photo_elements,
            preprocessing=model.preprocessing,
        )
