"""OpenSearch or Elasticsearch, by the bulk API with external versions.

https://docs.opensearch.org/latest/api-reference/document-apis/bulk/: an item whose version is
not newer than what the index has is refused with 409, which is as good as done. So entries may
come twice and out of order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

import orjson
import pycurl
from sqlalchemy import Connection

from shared.certificates import trusted_certificates
from shared.db.follow import Entry, Refusal
from shared.errors import IndexAway, SetupError

#: Of a whole request; shorter than a transaction may stay open.
DEADLINE_S: Final = 15.0
_CONNECT_S: Final = 5.0
#: Of an answer: what it says of a batch, a refusal of each document with the words of it included.
MAX_ANSWER_BYTES: Final = 16 << 20
_NOT_NOW: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS)
_REFUSE: Final = -1  # what makes libcurl end the transfer
#: What the documents hold; tags are matched as they are, and words within them too.
_TAGS: Final = {
    "properties": {
        "tag": {"type": "keyword", "fields": {"words": {"type": "text"}}},
        "score": {"type": "float"},
    }
}
_EXISTS: Final = b"resource_already_exists_exception"
MAPPING: Final = {
    "mappings": {
        "dynamic": False,
        "properties": {
            "listing_id": {"type": "keyword"},
            "title": {"type": "text"},
            "seller_tags": {"type": "keyword", "fields": {"words": {"type": "text"}}},
            "occurred_at": {"type": "date"},
            "tags": _TAGS,
            "related_tags": _TAGS,
            "model_version": {"type": "keyword"},
            "flags": {"properties": {"kind": {"type": "keyword"}, "subject": {"type": "keyword"}}},
        },
    }
}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.body[:200].decode(errors='replace')}"


class OpenSearchIndex:
    """One index of a cluster."""

    def __init__(self, url: str, index: str, *, deadline_s: float = DEADLINE_S) -> None:
        """Makes no connection yet.

        Args:
            url: of the cluster, with user and password where it wants them.
            index: the index's name, or an alias for writing.
            deadline_s: of each request, from the look-up of a name to the answer's last byte.

        Raises:
            SetupError: that is not a URL of such a cluster.
        """
        parts, port = _parts(url)
        place = f"{parts.hostname}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
        self._base = f"{parts.scheme}://{place}"
        self._path = quote(index, safe="")
        self.name = f"{place}/{index}"
        self._curl = pycurl.Curl()  # keeps its connection from one request to the next
        self._options: list[tuple[int, Any]] = [
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),  # nobody else is to have the documents
            (pycurl.PROXY, ""),  # whatever the environment says
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.NOSIGNAL, 1),
            (pycurl.CAINFO, trusted_certificates()),
            (pycurl.CONNECTTIMEOUT_MS, round(_CONNECT_S * 1000)),
            (pycurl.TIMEOUT_MS, round(deadline_s * 1000)),
        ]
        if parts.username is not None:
            self._options += [
                (pycurl.HTTPAUTH, pycurl.HTTPAUTH_BASIC),
                (pycurl.USERNAME, unquote(parts.username)),
                (pycurl.PASSWORD, unquote(parts.password or "")),
            ]

    def prepare(self, connection: Connection) -> None:  # noqa: ARG002  # others keep theirs there
        """Makes the index with its mapping if it is not there."""
        answer = self._ask("HEAD", self._path, None)
        if answer.status == HTTPStatus.NOT_FOUND:
            answer = self._ask("PUT", self._path, orjson.dumps(MAPPING))
            if answer.status == HTTPStatus.BAD_REQUEST and _EXISTS in answer.body:
                return  # another one was faster
        if not answer.ok:
            raise IndexAway(str(answer))

    def apply(
        self,
        connection: Connection,  # noqa: ARG002  # as above
        entries: Sequence[Entry],
    ) -> list[Refusal]:
        """Takes documents in by one bulk request."""
        body = b"".join(_lines(entry) for entry in entries)
        answer = self._ask("POST", f"{self._path}/_bulk", body)
        if not answer.ok:
            raise IndexAway(str(answer))
        return _refusals(entries, _items(answer, len(entries)))

    def _ask(self, method: str, path: str, body: bytes | None) -> _Answer:
        """One request and its answer.

        Raises:
            IndexAway: there is none, not in time or no end of it.
        """
        kind = "x-ndjson" if path.endswith("/_bulk") else "json"
        received = bytearray()

        def take(part: bytes) -> int | None:
            if len(received) + len(part) > MAX_ANSWER_BYTES:
                return _REFUSE
            received.extend(part)
            return None

        curl = self._curl
        curl.reset()
        for option, value in self._options:
            curl.setopt(option, value)
        curl.setopt(pycurl.URL, f"{self._base}/{path}")
        curl.setopt(pycurl.WRITEFUNCTION, take)
        if body is None:
            curl.setopt(pycurl.NOBODY, 1)
        else:
            curl.setopt(pycurl.POSTFIELDS, body)
            # Without Expect: it would wait a second for leave to send a large body.
            curl.setopt(pycurl.HTTPHEADER, [f"Content-Type: application/{kind}", "Expect:"])
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        try:
            curl.perform()
        except pycurl.error as error:
            code = int(error.args[0])
            words = (
                f"its answer has more than {MAX_ANSWER_BYTES} bytes"
                if code == pycurl.E_WRITE_ERROR
                else pycurl.easy_strerror(code)
            )
            raise IndexAway(f"{self.name}: {words}") from None
        return _Answer(curl.getinfo(pycurl.RESPONSE_CODE), bytes(received))


def _parts(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
        known = parts.scheme in ("http", "https") and parts.hostname
        if known and not parts.query and not parts.fragment:
            return parts, port
    except ValueError:
        pass
    # Not a word of the URL itself: it may hold a password.
    raise SetupError("the index's URL must be http(s)://[user:password@]host[:port][/path]")


def _lines(entry: Entry) -> bytes:
    action = {"_id": entry.listing_id, "version": entry.doc_version, "version_type": "external"}
    if entry.document is None:
        return orjson.dumps({"delete": action}) + b"\n"
    return orjson.dumps({"index": action}) + b"\n" + orjson.dumps(entry.document) + b"\n"


def _items(answer: _Answer, count: int) -> list[dict[str, Any]]:
    try:
        items: list[dict[str, Any]] = [
            next(iter(item.values())) for item in orjson.loads(answer.body)["items"]
        ]
        statuses = [int(item["status"]) for item in items]
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        raise IndexAway("its answer is not one of a bulk request") from None
    if len(statuses) != count:
        raise IndexAway(f"it answered to {len(statuses)} of {count} documents")
    return items


def _refusals(entries: Sequence[Entry], items: Sequence[dict[str, Any]]) -> list[Refusal]:
    """What it will never take.

    Raises:
        IndexAway: it could not take some of them now.
    """
    refused: list[Refusal] = []
    for entry, item in zip(entries, items, strict=True):
        status = int(item["status"])
        if status < 300 or status == HTTPStatus.CONFLICT:
            continue
        if status == HTTPStatus.NOT_FOUND and entry.document is None:
            continue  # gone already
        reason = _reason(item)
        # A whole index may be gone; it is made again then.
        if status in _NOT_NOW or status >= 500:
            raise IndexAway(f"HTTP {status}: {reason}")
        refused.append(Refusal(entry, f"HTTP {status}: {reason}"))
    return refused


def _reason(item: dict[str, Any]) -> str:
    error = item.get("error")
    if isinstance(error, dict):
        return f"{error.get('type')}: {error.get('reason')}"[:500]  # pyright: ignore[reportUnknownMemberType]
    return str(error)[:500]
