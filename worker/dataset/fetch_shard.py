"""One shard of a download: its photos fetched, checked, hashed and written down."""

import hashlib
import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final

from shared.domain.retry import RetryPolicy
from shared.errors import ChangedPhoto, DatasetError, PhotoError, Unexpected
from shared.settings import PhotoLimits
from worker.dataset import durable
from worker.dataset.ledger import Failure, ShardOutcome
from worker.dataset.photo_rows import PhotoRow
from worker.dataset.rows import BadRow, check_row
from worker.dataset.shards import MAX_ROW_BYTES, ShardWriter
from worker.decode import phash
from worker.decode.pixels import to_pixels
from worker.decode.reencode import shrink_to_jpeg, upright_size
from worker.decode.sniff import sniff
from worker.fetch.call import Download
from worker.fetch.download import Downloader

#: All photos of a call wait for its slowest, and each for its turn at its host's connections,
#: which the calls of all shards in work share.
_CALL_PHOTOS: Final = 64
#: Bodies of a call that stay in memory; more go to a temporary file.
_SPOOL_BYTES: Final = 16 << 20
_BACKOFF_BASE_S: Final = 1.0
#: Even where an origin asks for more: one photo must not keep its shard waiting for hours.
_BACKOFF_MAX_S: Final = 30.0
_SUFFIXES: Final = {"jpeg": "jpg", "png": "png", "webp": "webp"}


class Stopped(Exception):
    """The download is to end; its unfinished shards are given up."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """A photo that was decoded; its body waits in a spool."""

    offset: int
    size: int
    fetched_bytes: int
    suffix: str
    facts: dict[str, object]  #: what its row says of the picture


class ShardFetcher:
    """Fetches shards; used by several threads, each with a shard of its own."""

    def __init__(
        self,
        limits: PhotoLimits,
        *,
        side: int | None,
        attempts: int,
        stopping: threading.Event,
        on_photos: Callable[[int, Sequence[str]], None],
    ) -> None:
        """What holds for every shard.

        Args:
            limits: of fetching and decoding, as in service.
            side: photos that are longer are stored shrunk to it; None stores all as they came.
            attempts: how often a photo is tried that may do better later.
            stopping: set when the download is to end.
            on_photos: told how many photos were stored, and the codes of those that failed.
        """
        self._limits = limits
        self._downloader = Downloader(limits)
        self._side = side
        self._retry = RetryPolicy(attempts, _BACKOFF_BASE_S, _BACKOFF_MAX_S)
        self._stopping = stopping
        self._on_photos = on_photos

    def close(self) -> None:
        """Closes all connections."""
        self._downloader.close()

    def fetch(self, shard: Path, rows: Sequence[PhotoRow]) -> ShardOutcome:
        """Fetches these photos into a shard, and writes what came of them beside it.

        Raises:
            Stopped: there is no shard.
            DatasetError: the disk is full or fails; there is no shard.
        """
        try:
            writer = ShardWriter(shard)
            try:
                outcome = self._fill(writer, rows)
                # First, because a shard that has its name counts as finished.
                durable.write(shard.with_suffix(".json"), outcome.model_dump_json(indent=1))
                writer.finish()
            finally:
                writer.abandon()
        except OSError as error:
            raise DatasetError(f"{shard}: {error.strerror or error}") from None
        return outcome

    def _fill(self, writer: ShardWriter, rows: Sequence[PhotoRow]) -> ShardOutcome:
        failed = [failure for row in rows if (failure := _misfit(row)) is not None]
        self._on_photos(0, [failure.code for failure in failed])
        unfit = {failure.photo_id for failure in failed}
        waiting = [row for row in rows if row.photo_id not in unfit]
        stored: list[_Looked] = []
        attempt = 0
        while waiting:
            attempt += 1
            later: list[PhotoRow] = []
            delay_s = 0.0
            for row, result in self._round(writer, waiting, attempt):
                if isinstance(result, _Looked):
                    stored.append(result)
                    self._on_photos(1, ())
                elif (due_in_s := self._retry.delay_s(result, attempt)) is not None:
                    later.append(row)
                    delay_s = max(delay_s, due_in_s)
                else:
                    failed.append(_failure(row, result.code, result.detail))
                    self._on_photos(0, [result.code])
            waiting = later
            if waiting and self._stopping.wait(min(delay_s, _BACKOFF_MAX_S)):
                raise Stopped
        return ShardOutcome(
            stored=len(stored),
            stored_bytes=sum(photo.size for photo in stored),
            fetched_bytes=sum(photo.fetched_bytes for photo in stored),
            failed=failed,
        )

    def _round(
        self,
        writer: ShardWriter,
        rows: Sequence[PhotoRow],
        attempt: int,
    ) -> Iterator[tuple[PhotoRow, _Looked | PhotoError]]:
        """Tries each row once; those that come are in the shard."""
        limits = self._limits
        # As in service: who is slow the first time is waited for the next.
        deadline_s = limits.fetch_deadline_s if attempt == 1 else limits.slow_fetch_deadline_s
        at_once = min(_CALL_PHOTOS, limits.connections_per_host)
        for first in range(0, len(rows), at_once):
            if self._stopping.is_set():
                raise Stopped
            call = rows[first : first + at_once]
            with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
                results = self._downloader.fetch(
                    [row.url for row in call],
                    deadline_s=deadline_s,
                    take=partial(self._take, spool, call),
                )
                for row, result in zip(call, results, strict=True):
                    yield row, self._keep(writer, spool, row, result)

    def _take(
        self, spool: IO[bytes], rows: Sequence[PhotoRow], download: Download
    ) -> _Looked | PhotoError:
        try:
            body, suffix, facts = self._look(download.body, rows[download.place].content_sha256)
        except PhotoError as error:
            # Its traceback would keep the body alive until the shard ends.
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001  # one odd photo must not end a download
            return Unexpected(type(error).__name__)
        offset = spool.tell()
        spool.write(body)
        return _Looked(offset, len(body), len(download.body), suffix, facts)

    def _look(self, fetched: bytes, wanted: str) -> tuple[bytes, str, dict[str, object]]:
        """What is stored of a photo, its suffix, and the facts of the picture."""
        content_sha256 = hashlib.sha256(fetched).hexdigest()
        if wanted not in ("", content_sha256):
            raise ChangedPhoto
        body, header = fetched, sniff(fetched)
        limits = self._limits
        if self._side is not None and max(header.width, header.height) > self._side:
            body = shrink_to_jpeg(
                fetched, header, side=self._side, max_photo_pixels=limits.max_photo_pixels
            )
            header = sniff(body)
        pixels = to_pixels(
            body,
            width=phash.SIDE,
            height=phash.SIDE,
            max_photo_pixels=limits.max_photo_pixels,
            min_photo_elements=limits.min_photo_elements,
        )
        width, height = upright_size(header)
        hashed = phash.phash(pixels)
        facts: dict[str, object] = {
            "width": width,
            "height": height,
            "phash": None if hashed is None else f"{hashed:016x}",
            "content_sha256": content_sha256,
        }
        return body, _SUFFIXES[header.format], facts

    def _keep(
        self, writer: ShardWriter, spool: IO[bytes], row: PhotoRow, result: _Looked | PhotoError
    ) -> _Looked | PhotoError:
        if isinstance(result, _Looked):
            spool.seek(result.offset)
            body = spool.read(result.size)
            described = {**_described(row, result.suffix), **result.facts, "url": row.url}
            writer.add(row.photo_id, result.suffix, body, json.dumps(described).encode())
        return result


def _described(row: PhotoRow, suffix: str) -> dict[str, object]:
    return {
        "photo": f"{row.photo_id}.{suffix}",
        "product": row.product,
        "tags": row.tags,
        "paths": row.paths,
        "source": row.source,
        "set": row.set_name,
    }


def _misfit(row: PhotoRow) -> Failure | None:
    """Why this row would not be read again, if so; then its photo need not be fetched."""
    described = _described(row, "jpg")
    try:
        check_row(described)
    except BadRow as bad:
        return _failure(row, bad.kind, bad.detail)
    # The facts of the picture take less than half of it.
    if len(json.dumps([described, row.url])) > MAX_ROW_BYTES // 2:
        return _failure(row, "line_too_long", f"more than {MAX_ROW_BYTES // 2} bytes")
    return None


def _failure(row: PhotoRow, code: str, detail: str) -> Failure:
    return Failure(photo_id=row.photo_id, url=row.url[:2000], code=code, detail=detail[:500])
