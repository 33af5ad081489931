"""What an origin's answer means: a photo, a redirect, or one of the fetch errors."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from shared.errors import (
    BadResponse,
    Disallowed,
    FetchError,
    Forbidden,
    NotFound,
    OriginUnavailable,
    RateLimited,
    TooLarge,
    Truncated,
)
from worker.fetch.robots import forbidding_rule

MAX_HEAD_BYTES: Final = 64 << 10
MAX_RETRY_AFTER_S: Final = 86_400.0

_ROBOTS_TAG: Final = "x-robots-tag"
#: The fields that anybody asks for.
_FIELDS: Final = {
    name.encode(): name
    for name in ("content-encoding", "content-length", "location", "retry-after", _ROBOTS_TAG)
}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_FINAL: Final[dict[int, Callable[[str], FetchError]]] = {
    206: Truncated,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    410: NotFound,
}


class Head:
    """The status line and the headers of one answer, fed line by line.

    Attributes:
        status: the HTTP status, 0 before there is one.
        complete: whether the empty line that ends the headers has come.
    """

    __slots__ = ("_fields", "_read_bytes", "_robots_tags", "complete", "status")

    def __init__(self) -> None:
        self.status = 0
        self.complete = False
        self._fields: dict[str, str] = {}
        self._robots_tags: list[str] = []
        self._read_bytes = 0

    def feed(self, line: bytes) -> None:
        """Take in one line as libcurl hands it over, trailers included.

        Raises:
            BadResponse: there are more headers than a photo needs.
        """
        self._read_bytes += len(line)
        if self._read_bytes > MAX_HEAD_BYTES:
            raise BadResponse(f"more than {MAX_HEAD_BYTES} bytes of headers")
        if self.complete and self.status >= 200:
            return  # a trailer, which changes nothing of what was answered
        if line.startswith(b"HTTP/"):  # a new answer, after a 100 or 103
            self.status = int(line[9:12]) if line[9:12].isdigit() else 0
            self.complete = False
            self._fields.clear()
            self._robots_tags.clear()
        elif not line.strip():
            self.complete = True
        elif not self.complete:
            self._read_field(line)

    def _read_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        known = _FIELDS.get(name.strip().lower())
        if known is None:
            return
        if known == _ROBOTS_TAG:  # each field is a sentence of its own
            self._robots_tags.append(_text(value.strip()))
        else:
            self._add(known, _text(value.strip()))

    def _add(self, name: str, value: str) -> None:
        # A repeated field is a list (RFC 9110, section 5.2); a list of lengths or places
        # then reads as nonsense, which is what it is.
        known = self._fields.get(name)
        self._fields[name] = value if known is None else f"{known}, {value}"

    @property
    def redirect(self) -> str | None:
        """The `Location` of a redirect, as it was sent."""
        told = self.complete and self.status in _REDIRECTS
        return self._fields.get("location") if told else None

    def check_body(self, max_bytes: int) -> None:
        """Look at what the headers say of the body before any of it is read.

        Raises:
            BadResponse: it is compressed, which was not asked for and hides its size.
            TooLarge: it says itself that it has more than `max_bytes`.
        """
        encoding = self._fields.get("content-encoding", "").lower()
        if encoding not in {"", "identity"}:
            raise BadResponse("compressed though nobody asked for it")
        length = self._fields.get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > max_bytes):
            raise TooLarge(f"announces more than {max_bytes} bytes")

    def check_robots(self, agent: str) -> None:
        """Look at what the headers ask of programs like us, which call themselves `agent`.

        Raises:
            Disallowed: they ask not to use the photo.
        """
        rule = forbidding_rule(self._robots_tags, agent)
        if rule is not None:
            raise Disallowed(rule)

    def error(self) -> FetchError | None:
        """What the status says is wrong, None for a 200; redirects are not looked at here."""
        status = self.status
        if status == 200:
            return None
        detail = f"HTTP {status}"
        if status == 429:
            return RateLimited(detail, self._retry_after_s())
        if status == 408 or 500 <= status <= 599:
            return OriginUnavailable(detail, self._retry_after_s())
        return _FINAL.get(status, BadResponse)(detail)

    def _retry_after_s(self) -> float | None:
        return retry_after_s(self._fields.get("retry-after", ""), now=datetime.now(UTC))


def retry_after_s(value: str, *, now: datetime) -> float | None:
    """Seconds to wait by a `Retry-After` (RFC 9110, section 10.2.3), None if it says nothing.

    Both forms, a number of seconds and an HTTP date, come out between 0 and one day.
    """
    if value.isascii() and value.isdecimal():
        return min(float(value), MAX_RETRY_AFTER_S)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


def _text(value: bytes) -> str:
    """Header bytes as text: UTF-8 where it is that, since many origins send raw UTF-8 paths."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
