"""OpenSearch or Elasticsearch, by the bulk API with external versions.

https://docs.opensearch.org/latest/api-reference/document-apis/bulk/: an item whose version is
not newer than what the index has is refused with 409, which is as good as done. So entries may
come twice and out of order.
"""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson
from sqlalchemy import Connection

from search.cluster import DEADLINE_S, LOOK_S, Answer, Cluster, Unanswered
from shared.db.follow import Entry, Refusal
from shared.errors import BatchRefused, IndexAway, SetupError

#: What proxies and clusters say to a request with too much in it.
_TOO_MUCH: Final = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
#: Of 3xx and 4xx, what goes by.
_PASSES: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
#: Of HTTP 400: only these are about a document. Whatever else is said, such as that the index is
#: closed or may not be written to, mends without it.
_ITS_FAULT: Final = frozenset(
    {
        "action_request_validation_exception",  # an id that is too long; of a whole request
        "document_parsing_exception",
        "illegal_argument_exception",
        "mapper_parsing_exception",
        "strict_dynamic_mapping_exception",
    }
)
#: https://docs.opensearch.org/latest/api-reference/index-apis/create-index/#index-naming-restrictions
#: but for capitals, which aliases may have.
_NAME: Final = re.compile(r"""(?![-_+])(?!\.{1,2}$)[^\s\\/*?"<>|,#:\x00-\x1f\x7f]+""")
_MAX_NAME_BYTES: Final = 255
#: What the documents hold; tags are matched as they are, and words within them too.
_TAGS: Final = {
    "properties": {
        "tag": {"type": "keyword", "fields": {"words": {"type": "text"}}},
        "score": {"type": "float"},
    }
}
_EXISTS: Final = "resource_already_exists_exception"
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


class OpenSearchIndex:
    """One index of a cluster."""

    def __init__(
        self,
        url: str,
        index: str,
        *,
        ca_file: Path | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Makes no connection yet.

        Args:
            url: of the cluster, with user and password where it wants them.
            index: the index's name, or an alias for writing.
            ca_file: certificates of authorities, in PEM, that are trusted instead of the usual.
            deadline_s: of each request, from the look-up of a name to the answer's last byte.

        Raises:
            SetupError: that is not a URL of such a cluster, no name of an index, or no file.
        """
        if not _NAME.fullmatch(index) or len(index.encode()) > _MAX_NAME_BYTES:
            raise SetupError(f"no index may be called {index!a}")
        self._cluster = Cluster(url, ca_file=ca_file, deadline_s=deadline_s)
        self._path = quote(index, safe="")
        self.name = f"{self._cluster.place}/{index}"
        self._answered = False

    def prepare(
        self,
        connection: Connection,  # noqa: ARG002  # others keep theirs there
    ) -> Callable[[], None] | None:
        """Looks whether it is there; see `Projection`."""
        answer = self._cluster.ask("HEAD", self._path, None, deadline_s=LOOK_S)
        if answer.status == HTTPStatus.NOT_FOUND:
            return self._make
        self._expect_ok(answer)
        return None

    def apply(
        self,
        connection: Connection,  # noqa: ARG002  # as above
        entries: Sequence[Entry],
    ) -> list[Refusal]:
        """Takes documents in by one bulk request."""
        body = b"".join(_lines(entry) for entry in entries)
        try:
            answer = self._cluster.ask("POST", f"{self._path}/_bulk", body)
        except Unanswered as error:
            if len(entries) > 1:
                raise BatchRefused(error.detail) from None
            raise
        if answer.ok:
            return _refusals(entries, _items(answer, len(entries)))
        its_fault = (
            answer.status == HTTPStatus.BAD_REQUEST and answer.error.get("type") in _ITS_FAULT
        )
        if len(entries) > 1 and (its_fault or answer.status in _TOO_MUCH):
            raise BatchRefused(str(answer))
        if its_fault or answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return [Refusal(entries[0], str(answer))]
        raise IndexAway(str(answer))

    def _make(self) -> None:
        """Makes the index with its mapping."""
        answer = self._cluster.ask("PUT", self._path, orjson.dumps(MAPPING), deadline_s=LOOK_S)
        if answer.status == HTTPStatus.BAD_REQUEST and answer.error.get("type") == _EXISTS:
            return  # another one was faster
        self._expect_ok(answer)

    def _expect_ok(self, answer: Answer) -> None:
        if answer.ok:
            self._answered = True
            return
        said = f"{self.name}: {answer}"
        # What worked once mends by itself; what never did is for whoever set it up.
        hopeless = 300 <= answer.status < 500 and answer.status not in _PASSES
        raise (SetupError if hopeless and not self._answered else IndexAway)(said)


def _lines(entry: Entry) -> bytes:
    action = {"_id": entry.listing_id, "version": entry.doc_version, "version_type": "external"}
    if entry.document is None:
        return orjson.dumps({"delete": action}) + b"\n"
    return orjson.dumps({"index": action}) + b"\n" + orjson.dumps(entry.document) + b"\n"


def _items(answer: Answer, count: int) -> list[dict[str, Any]]:
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
        IndexAway: it could not take some of them, and they are not to blame.
    """
    refused: list[Refusal] = []
    for entry, item in zip(entries, items, strict=True):
        status = int(item["status"])
        if status < 300 or status == HTTPStatus.CONFLICT:
            continue
        if status == HTTPStatus.NOT_FOUND and entry.document is None:
            continue  # gone already
        kind, reason = _reason(item)
        said = f"HTTP {status}: {reason}"
        if status != HTTPStatus.BAD_REQUEST or kind not in _ITS_FAULT:
            # Its name, for the case that it is to blame after all.
            raise IndexAway(f"{said}; listing {entry.listing_id!r}")
        refused.append(Refusal(entry, said))
    return refused


def _reason(item: dict[str, Any]) -> tuple[str, str]:
    """What kind of error an item has, and all that is said of it."""
    error = item.get("error")
    if isinstance(error, dict):
        kind = str(error.get("type"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return kind, f"{kind}: {error.get('reason')}"[:500]  # pyright: ignore[reportUnknownMemberType]
    return "", str(error)[:500]
