"""OpenSearch or Elasticsearch, by the bulk API with external versions.

https://docs.opensearch.org/latest/api-reference/document-apis/bulk/: an item whose version is
not newer than what the index has is refused with 409, which is as good as done. So entries may
come twice and out of order.
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

import orjson
import requests
from sqlalchemy import Connection

from shared.db.follow import Entry, Refusal
from shared.errors import IndexAway, SetupError

#: Of a whole request; shorter than a transaction may stay open.
_TIMEOUT_S: Final = (5, 15)
_NDJSON: Final = {"Content-Type": "application/x-ndjson"}
_NOT_NOW: Final = (requests.codes.not_found, requests.codes.too_many_requests)
#: What the documents hold; tags are matched as they are, and words within them too.
_TAGS: Final = {
    "properties": {
        "tag": {"type": "keyword", "fields": {"words": {"type": "text"}}},
        "score": {"type": "float"},
    }
}
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
        },
    }
}


class OpenSearchIndex:
    """One index of a cluster."""

    def __init__(self, url: str, index: str) -> None:
        """Makes no connection yet.

        Args:
            url: of the cluster, with user and password where it wants them.
            index: the index's name, or an alias for writing.

        Raises:
            SetupError: that is not a URL of such a cluster.
        """
        parts, port = _parts(url)
        place = f"{parts.hostname}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
        self._base = f"{parts.scheme}://{place}"
        self._path = quote(index, safe="")
        self.name = f"{place}/{index}"
        self._session = requests.Session()
        self._session.trust_env = False
        if parts.username is not None:
            self._session.auth = (unquote(parts.username), unquote(parts.password or ""))

    def prepare(self, connection: Connection) -> None:  # noqa: ARG002  # others keep theirs there
        """Makes the index with its mapping if it is not there."""
        answer = self._ask("HEAD", self._path, None)
        if answer.status_code == requests.codes.not_found:
            answer = self._ask("PUT", self._path, orjson.dumps(MAPPING))
            if answer.status_code == requests.codes.bad_request and _exists(answer):
                return  # another one was faster
        if not answer.ok:
            raise IndexAway(_words(answer))

    def apply(
        self,
        connection: Connection,  # noqa: ARG002  # as above
        entries: Sequence[Entry],
    ) -> list[Refusal]:
        """Takes documents in by one bulk request."""
        body = b"".join(_lines(entry) for entry in entries)
        answer = self._ask("POST", f"{self._path}/_bulk", body)
        if not answer.ok:
            raise IndexAway(_words(answer))
        return _refusals(entries, _items(answer, len(entries)))

    def _ask(self, method: str, path: str, body: bytes | None) -> requests.Response:
        headers = _NDJSON if path.endswith("/_bulk") else {"Content-Type": "application/json"}
        try:
            return self._session.request(
                method,
                f"{self._base}/{path}",
                data=body,
                headers=headers,
                timeout=_TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise IndexAway(f"{self.name}: {type(error).__name__}") from None


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


def _items(answer: requests.Response, count: int) -> list[dict[str, Any]]:
    try:
        items: list[dict[str, Any]] = [next(iter(item.values())) for item in answer.json()["items"]]
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
        if status < 300 or status == requests.codes.conflict:
            continue
        if status == requests.codes.not_found and entry.document is None:
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


def _exists(answer: requests.Response) -> bool:
    return "resource_already_exists_exception" in answer.text


def _words(answer: requests.Response) -> str:
    return f"HTTP {answer.status_code}: {answer.text[:200]}"
