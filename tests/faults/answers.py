"""Answers that stall, flood, unpack, break off and lie, and how each photo must end (a table)."""

import gzip
import re
import zlib
from pathlib import Path

from dev.listings import photo_files
from tests.faults.cases import ZONE, Case
from tests.origins import (
    Behaviour,
    answer,
    drip,
    endless_chunks,
    hang,
    in_turn,
    raw,
    reset,
)

#: What the name server says beyond the zone's own names.
NAMES: dict[str, list[list[str]]] = {}

RETRY_AFTER_S = 3
#: How often each flood comes at once, so that memory would show what is kept of it.
_FLOODS = 4

_OK = b"HTTP/1.1 200 OK\r\n"
_BOMB = gzip.compress(bytes(256 << 20), 1)


def cases(photo_folder: Path) -> list[Case]:
    """Every photo of the run but the floods."""
    good = photo_files(photo_folder)
    body = (photo_folder / good[0].path).read_bytes()
    return [
        *_stalls(),
        *_breaks(body),
        *_statuses(body),
        *_lies(body),
        *(Case("", f"good {p.path}", f"http://photos.{ZONE}/{p.path}", "tagged") for p in good),
        *floods(photo_folder),
    ]


def floods(photo_folder: Path) -> list[Case]:
    """Photos of more bytes than are read or unpacked."""
    body = (photo_folder / photo_files(photo_folder)[0].path).read_bytes()
    announced = _OK + b"Content-Length: 10000000000\r\n\r\n"
    kinds: dict[str, tuple[str, Behaviour, str]] = {
        "announced": ("I8", hang(announced), "too_large"),
        "announced and sent": ("I8", drip(announced, bytes(1 << 16), every_s=0), "too_large"),
        "chunks": ("I8", endless_chunks(), "too_large"),
        "no length": ("I8", drip(_OK + b"\r\n", bytes(1 << 16), every_s=0), "too_large"),
        "more than announced": (
            "I8",
            raw(_OK + b"Content-Length: 9\r\n\r\n" + bytes(8 << 20)),
            "not_an_image",
        ),
        "headers": (
            "I8",
            drip(_OK, b"X-More: " + b"x" * 1000 + b"\r\n", every_s=0),
            "bad_response",
        ),
        "interim answers": (
            "I8",
            drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 64, every_s=0),
            "bad_response",
        ),
        "trailers": (
            "I8",
            drip(
                _OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-More: x\r\n" * 99, every_s=0
            ),
            "bad_response",
        ),
        "gzip": ("I9", _coded("Content-Encoding: gzip", _BOMB), "bad_response"),
        "deflate": (
            "I9",
            _coded("Content-Encoding: deflate", zlib.compress(_BOMB)),
            "bad_response",
        ),
        "stacked": (
            "I9",
            _coded("Content-Encoding: gzip, gzip", gzip.compress(_BOMB)),
            "bad_response",
        ),
        "stacked in two fields": (
            "I9",
            _coded("Content-Encoding: identity\r\nContent-Encoding: gzip", _BOMB),
            "bad_response",
        ),
        "transfer coding": (
            "I9",
            raw(_OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + _chunk(_BOMB)),
            "bad_response",
        ),
        "gzip that nobody names": ("I9", answer(200, _BOMB), "not_an_image"),
        "gzip on a 404": (
            "I9",
            answer(404, _BOMB, headers={"Content-Encoding": "gzip"}),
            "not_found",
        ),
        "gzip on a redirect": (
            "I9",
            answer(302, _BOMB, headers={"Content-Encoding": "gzip", "Location": "/i9/good"}),
            "tagged",
        ),
        "endless redirect": (
            "I9",
            drip(b"HTTP/1.1 302 Found\r\nLocation: /i9/good\r\n\r\n", bytes(1 << 16), every_s=0),
            "tagged",
        ),
    }
    photo = answer(200, body)
    return [
        _case(row, f"{name} {copy}", end, behaviour, {"/i9/good": photo})
        for name, (row, behaviour, end) in kinds.items()
        for copy in range(_FLOODS)
    ]


def _stalls() -> list[Case]:
    head = _OK + b"Content-Length: 100000\r\n\r\n"
    kinds = {
        "silence": hang(),
        "half a status": hang(b"HTTP/1."),
        "half a body": hang(head + b"\xff\xd8\xff"),
        "a header that drips": drip(_OK, b"X: x\r\n", every_s=0.2),
        "a body that drips": drip(head, b"x", every_s=0.2),
        "chunks that drip": drip(
            _OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", every_s=0.2
        ),
        "interim answers that drip": drip(b"", b"HTTP/1.1 102 Processing\r\n\r\n", every_s=0.2),
    }
    return [
        *(
            _case("I7", name, "too_slow", behaviour, attempts=2)
            for name, behaviour in kinds.items()
        ),
        # Port 443 accepts connections and says nothing.
        Case("I7", "I7 TLS", f"https://i7-tls.{ZONE}/p", "too_slow", attempts=2),
    ]


def _breaks(body: bytes) -> list[Case]:
    whole = _OK + f"Content-Length: {len(body)}\r\n\r\n".encode()
    kinds = {
        "short": raw(whole + body[:-1]),
        "short chunk": raw(_OK + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + body[:99]),
        "no last chunk": raw(_OK + b"Transfer-Encoding: chunked\r\n\r\n" + _chunk(body)[:-5]),
        "reset": reset(whole + body[:999]),
        "reset at once": reset(),
        "nothing": raw(b""),
        "206": answer(206, body, headers={"Content-Range": f"bytes 0-{len(body) - 1}/*"}),
    }
    once = in_turn(raw(whole + body[:99]), answer(200, body))
    return [
        *(
            _case("I10", name, "truncated", behaviour, attempts=2)
            for name, behaviour in kinds.items()
        ),
        _case("I10", "short once", "tagged", once, attempts=2),
    ]


def _statuses(body: bytes) -> list[Case]:
    later = answer(429, headers={"Retry-After": str(RETRY_AFTER_S)})
    html = b"<!DOCTYPE html><title>Not here</title><p>We are sorry."
    return [
        _case("I11", "404", "not_found", answer(404, html)),
        _case("I11", "410", "not_found", answer(410)),
        _case("I11", "403", "forbidden", answer(403)),
        # A time that the host named costs no attempt, and one that it did not name does.
        _case("I11", "429", "tagged", in_turn(later, answer(200, body)), attempts=1),
        _case(
            "I11",
            "429 for ever",
            "rate_limited",
            answer(429, headers={"Retry-After": "1"}),
            attempts=2,
        ),
        _case("I11", "503", "origin_unavailable", answer(503), attempts=2),
        _case("I11", "503 once", "tagged", in_turn(answer(503), answer(200, body)), attempts=2),
        _case(
            "I11", "HTML", "not_an_image", answer(200, html, headers={"Content-Type": "text/html"})
        ),
    ]


def _lies(body: bytes) -> list[Case]:
    def typed(content: bytes, content_type: str) -> Behaviour:
        return answer(200, content, headers={"Content-Type": content_type})

    return [
        _case("I12", "photo as HTML", "tagged", typed(body, "text/html; charset=utf-8")),
        _case("I12", "photo as GIF", "tagged", typed(body, "image/gif")),
        _case("I12", "photo as nonsense", "tagged", typed(body, "\xff/\xff;;")),
        _case("I12", "photo as nothing", "tagged", answer(200, body)),
        _case("I12", "HTML as JPEG", "not_an_image", typed(b"<html>Sorry</html>", "image/jpeg")),
        _case(
            "I12", "program as PNG", "not_an_image", typed(b"\x7fELF" + bytes(9999), "image/png")
        ),
        _case(
            "I12", "GIF as JPEG", "unsupported_format", typed(b"GIF89a" + bytes(999), "image/jpeg")
        ),
        _case("I12", "SVG as WebP", "unsupported_format", typed(b"<svg/>", "image/webp")),
    ]


def _case(
    row: str,
    name: str,
    end: str,
    behaviour: Behaviour,
    also: dict[str, Behaviour] | None = None,
    *,
    attempts: int = 1,
) -> Case:
    """A photo at a host of its own, so that what one host does never tells on another."""
    slug = re.sub(r"\W+", "-", name).lower()
    path = f"/{row.lower()}/{slug}"
    url = f"http://{row.lower()}-{slug}.{ZONE}{path}"
    return Case(row, f"{row} {name}", url, end, attempts, {path: behaviour, **(also or {})})


def _coded(fields: str, body: bytes) -> Behaviour:
    return raw(_OK + f"{fields}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def _chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
