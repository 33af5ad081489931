"""What the fuzzer starts from: small photos of every kind, events and messages."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dev.photos import render_all
from shared.domain.message import photos_message
from tests.marketplace import event


def seeds(target: str, folder: Path) -> Iterator[bytes]:
    """The seeds of a target; `folder` is for photos that are rendered on the way."""
    match target:
        case "photo":
            return _photos(folder)
        case "event":
            return _events()
        case "message":
            return _messages()
        case _:
            return _entries()


def _photos(folder: Path) -> Iterator[bytes]:
    for number, sample in enumerate(render_all(folder, count=3, processes=1)):
        picture = Image.open(sample.path).convert("RGB")
        picture.thumbnail((48 + 64 * number, 48 + 64 * number))
        exif = Image.Exif()
        exif[0x0112] = 6
        for options in (
            {"quality": 60},
            {"quality": 80, "progressive": True},
            {"quality": 70, "restart_marker_rows": 1, "exif": exif},
        ):
            yield _encoded(picture, "JPEG", **options)
        for mode in ("L", "CMYK"):
            yield _encoded(picture.convert(mode), "JPEG", progressive=number > 0)
        for mode in ("RGB", "RGBA", "L", "LA", "1"):
            yield _encoded(picture.convert(mode), "PNG", exif=exif)
        yield _encoded(picture.quantize(16), "PNG", transparency=bytes(range(16)))
        deep = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        yield _encoded(Image.fromarray(deep), "PNG")
        for options in ({"lossless": True}, {"quality": 50, "exif": exif}):
            yield _encoded(picture, "WEBP", **options)
        clear = picture.convert("RGBA")
        clear.putalpha(picture.convert("L"))
        yield _encoded(clear, "WEBP", quality=50)
        yield _encoded(picture, "GIF")


def _encoded(picture: Image.Image, name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def _events() -> Iterator[bytes]:
    varied: list[dict[str, Any]] = [
        {},
        {"type": "listing.updated", "seller_tags": ["\N{CAMERA}", "a\0b", "\\ud800"]},
        {"type": "listing.deleted", "photos": None},
        {"occurred_at": "2025-06-01T12:00:00+14:00", "photos": ["http://a/b"] * 21},
        {"occurred_at": "0001-01-01T00:00:00+23:59", "title": None},
        {"title": "t" * 1001, "listing_id": 7, "seller_tags": {}},
    ]
    for changes in varied:
        yield json.dumps(event(**changes)).encode()
    yield b'{"type": NaN, "occurred_at": 1e999}'
    yield b"[" * 2000


def _messages() -> Iterator[bytes]:
    values: list[Any] = [
        photos_message([1, 2, 2**63 - 1]),
        {"v": True, "ids": [1]},
        {"v": 1.0, "ids": [0, -1, 2**63, "1", None, 1.5, [1]]},
        {"v": 1, "ids": list(range(1, 300)), "url": "http://a/"},
        [1, [1, 2], {}],
    ]
    for value in values:
        yield json.dumps(value).encode()


def _entries() -> Iterator[bytes]:
    """Queue entries as kombu writes them (its virtual transport, message protocol 2)."""
    body = json.dumps([[], photos_message([1, 2]), {"callbacks": None, "chain": None}]).encode()
    headers = {"lang": "py", "task": "tag_photos", "id": "1", "root_id": "1", "group": None}
    whole: dict[str, Any] = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {**headers, "eta": None, "expires": None, "retries": 0, "timelimit": [None] * 2},
        "properties": {
            "correlation_id": "1",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "tagging"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": "1",
        },
    }
    for changes in (
        {},
        {"headers": {**headers, "task": "no.such.task"}},
        {"headers": {"compression": "zlib"}, "body": "eJwDAAAAAAE="},
        {"headers": {**headers, "eta": "2026-01-01T00:00:00"}},
        {"content-type": "application/x-python-serialize", "content-encoding": "binary"},
        {"properties": {"delivery_tag": "2"}, "body": body.decode()},
    ):
        yield json.dumps(whole | changes).encode()
    yield b"no json"
    yield b"[" * 20_000
