"""Lines that are no events, kept with the reason."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from producer.lines import Line
from shared.domain.photo import Lane
from shared.errors import EventError

_KEPT_LINE_CHARS = 64 << 10


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event line that cannot be recorded, and why."""

    line: Line
    error: EventError


def keep(connection: Connection, rejected: Sequence[Rejection], lane: Lane) -> None:
    """Keeps lines that are no events, each once, with the reason."""
    first: dict[bytes, Rejection] = {}
    for rejection in rejected:
        first.setdefault(_key(rejection.line), rejection)
    for key, rejection in sorted(first.items(), key=lambda item: item[0]):
        line, error = rejection.line, rejection.error
        connection.execute(
            text("""
                INSERT INTO rejected_event
                    (line_sha256, line, line_bytes, code, reason, source, backfill)
                VALUES (:key, :line, :line_bytes, :code, :reason, :source, :backfill)
                ON CONFLICT (line_sha256) DO UPDATE SET
                    times = rejected_event.times + 1, last_seen_at = now(),
                    code = excluded.code, reason = excluded.reason,
                    backfill = rejected_event.backfill AND excluded.backfill
            """),
            {
                "key": key,
                "line": _printable(line.raw),
                "line_bytes": line.length,
                "code": error.kind,
                "reason": error.detail,
                "source": line.source,
                "backfill": lane is Lane.BACKFILL,
            },
        )


def _key(line: Line) -> bytes:
    """What a rejected line is known by: itself, or also its place where it never was an event.

    `replay` offers those that are known by themselves alone.
    """
    place = f"{line.source}\n".encode() if line.foreign else b""
    return hashlib.sha256(place + line.raw).digest()


def _printable(raw: bytes) -> str:
    """The line as text that Postgres stores: what is not UTF-8, and NUL, escaped."""
    kept = raw[:_KEPT_LINE_CHARS].decode("utf-8", "backslashreplace")
    return kept.replace("\0", "\\x00")
