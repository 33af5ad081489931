"""What strangers send us, and what must hold whatever it is: the targets of the fuzzer.

Each target takes any bytes. It returns, or it has found something.
"""

import itertools
import json
import os
import queue
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from celery.worker import WorkController
from redis import Redis

from producer.envelope import MAX_EVENT_ID_CHARS
from producer.events import MAX_AHEAD, MAX_ID_CHARS, MAX_TAG_CHARS, Limits
from producer.parsing import parse
from shared.domain.message import MAX_ENTRY_BYTES, MAX_IDS, parse_ids
from shared.domain.photo import Lane
from shared.errors import DecodeError, EventError, MessageError
from shared.queue import Doorbell, make_app
from shared.settings import Settings
from shared.transport import renewed
from worker.consumer import Consumer
from worker.decode.containers import JPEG_END, JPEG_START, PNG_START
from worker.decode.pixels import BGR_BILINEAR, RGB_AREA, to_pixels
from worker.decode.sniff import sniff
from worker.tasks import add_tagging

#: Small, so that many are looked at in a second.
_MOST_PIXELS: Final = 500_000
_SIDE: Final = 40
_MOST_MB: Final = 100
_LIMITS: Final = Limits(max_event_bytes=1 << 16, max_photos=20, max_seller_tags=20)
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
#: Where the servers of the target `entry` are.
REDIS_URL: Final = "FUZZ_REDIS_URL"


def photo(body: bytes) -> None:
    """A body becomes pixels or a `DecodeError`, and the same ones every time."""
    before = _peak_mb()
    for data in (body, _repaired(body)):
        try:
            header = sniff(data)
        except DecodeError:
            continue
        assert header.width > 0
        assert header.height > 0
        assert 1 <= header.orientation <= 8
        for preprocessing in (RGB_AREA, BGR_BILINEAR):
            with suppress(DecodeError):
                first = _pixels(data, preprocessing)
                assert first.shape == (_SIDE, _SIDE, 3)
                assert first.dtype == np.uint8
                assert np.array_equal(first, _pixels(data, preprocessing))
    assert _peak_mb() - before < _MOST_MB


def event(line: bytes) -> None:
    """A line becomes an event that Postgres can keep, or an `EventError`."""
    try:
        found = parse(line, _LIMITS, _NOW)
    except EventError as error:
        str(error).encode()
        return
    texts = [found.event_id, found.listing_id, found.title, *found.seller_tags, *found.photos]
    for text in texts:
        assert "\0" not in text
        text.encode()
    assert 0 < len(found.event_id) <= MAX_EVENT_ID_CHARS
    assert 0 < len(found.listing_id) <= MAX_ID_CHARS
    assert all(len(tag) <= MAX_TAG_CHARS for tag in found.seller_tags)
    assert len(set(found.photos)) == len(found.photos) <= _LIMITS.max_photos
    assert found.occurred_at.tzinfo is UTC
    assert found.occurred_at <= _NOW + MAX_AHEAD
    assert parse(line, _LIMITS, _NOW) == found


def message(data: bytes) -> None:
    """The arguments of a message, as JSON, become row ids or a `MessageError`."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return
    fields: list[object] = [value]
    if isinstance(value, dict):
        named = cast("dict[str, object]", value)
        fields = [named.pop("v", None), named.pop("ids", None), named]
    elif isinstance(value, list):
        fields = cast("list[object]", value)
    version, ids, *more = [*fields, None, None][: max(2, len(fields))]
    try:
        found = parse_ids(version, ids, *more)
    except MessageError as error:
        str(error).encode()
        return
    assert version == 1
    assert found == ids
    assert 0 < len(found) <= MAX_IDS
    assert all(0 < id_ < 1 << 63 for id_ in found)


def entry(data: bytes) -> None:
    """An entry of the queue leaves the worker taking the next message, whatever it is read as."""
    with suppress(MessageError):
        assert len(renewed(data, Lane.TAGGING)) < 2 * MAX_ENTRY_BYTES
    _worker().survive(data)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "photo": photo,
    "event": event,
    "message": message,
    "entry": entry,
}


def _pixels(body: bytes, preprocessing: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return to_pixels(
        body,
        width=_SIDE,
        height=_SIDE,
        max_photo_pixels=_MOST_PIXELS,
        min_photo_elements=1000,
        preprocessing=preprocessing,
    )


def _peak_mb() -> int:
    """The most memory that this process ever had, but not the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def _repaired(body: bytes) -> bytes:
    """With checksums, sizes and ends that fit, so that damage gets as far as the decoder."""
    if body.startswith(JPEG_START):
        return body + JPEG_END
    if body.startswith(b"RIFF"):
        return b"RIFF" + struct.pack("<I", max(0, len(body) - 8)) + body[8:]
    if not body.startswith(PNG_START):
        return body
    whole, at = [PNG_START], len(PNG_START)
    while at + 12 <= len(body):
        end = min(at + 8 + int.from_bytes(body[at : at + 4]), len(body) - 4)
        chunk = body[at + 4 : end]
        whole.append(
            struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        )
        at = end + 4
    return b"".join(whole)


class _Worker:
    """A Celery worker in this process, as `worker.process` builds it; its task notes ids."""

    def __init__(self, redis_url: str) -> None:
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",  # pyright: ignore[reportCallIssue]
            REDIS_URL=redis_url,  # pyright: ignore[reportCallIssue]
        )
        self._given: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        app = make_app(settings)
        add_tagging(app, self._given.put)
        self._doorbell = Doorbell(app, settings)
        self._client = Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType]
        self._numbers = itertools.count(1 << 40)
        controller = WorkController(  # pyright: ignore[reportUnknownVariableType]
            app=app,
            queues=[Lane.TAGGING],
            pool="threads",
            concurrency=1,
            consumer_cls=Consumer,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        threading.Thread(target=controller.start, daemon=True).start()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    def survive(self, data: bytes) -> None:
        number = next(self._numbers)
        self._client.lpush(Lane.TAGGING, data)  # pyright: ignore[reportUnknownMemberType]
        self._doorbell.ring_photos(Lane.TAGGING, [number])
        try:
            while self._given.get(timeout=20) != [number]:
                pass
        except queue.Empty:
            raise AssertionError("the worker takes no more messages") from None


@cache
def _worker() -> _Worker:
    return _Worker(os.environ[REDIS_URL])
