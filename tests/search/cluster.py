"""A cluster that takes bulk requests as OpenSearch does, and refuses what that refuses.

After https://docs.opensearch.org/latest/api-reference/document-apis/bulk/ and `index-document`:
external versions, per-item statuses, strict NDJSON. An id that is too long refuses the whole
request: https://github.com/elastic/elasticsearch/issues/54549.
"""

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass
class Cluster:
    """What it holds, and what it is to answer next.

    Attributes:
        indices: index -> listing -> (version, document; None once it is deleted).
        mappings: what each index was made with.
        troubles: answers (status, body) that come instead of the right ones to bulk requests,
            one after another; of a redirect the body is where it leads.
        look: a status that comes instead of the right one when its index is looked for, or made.
        drips: answers come in single bytes, for ten seconds, and have no end.
        taken: listing and version of each document that was sent, in order.
        authorization: what requests must carry, if anything.
        most_bytes: of a request; a larger one gets HTTP 413.
        makes_missing: a bulk request makes the index where there is none, with no mapping.
        sizes: bytes of each bulk request that it took.
    """

    indices: dict[str, dict[str, tuple[int, Any]]] = field(default_factory=dict)  # pyright: ignore[reportUnknownVariableType]
    mappings: dict[str, Any] = field(default_factory=dict)  # pyright: ignore[reportUnknownVariableType]
    troubles: list[tuple[int, bytes]] = field(default_factory=list)  # pyright: ignore[reportUnknownVariableType]
    authorization: str | None = None
    drips: bool = False
    look: int | None = None
    most_bytes: int = 1 << 40
    makes_missing: bool = False
    sizes: list[int] = field(default_factory=list)  # pyright: ignore[reportUnknownVariableType]
    scheme: str = "http"
    taken: list[tuple[str, int]] = field(default_factory=list)  # pyright: ignore[reportUnknownVariableType]

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """Speaks it from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.scheme}://127.0.0.1:{self._server.server_address[1]}"

    def documents(self, index: str) -> dict[str, Any]:
        """What an index holds now."""
        return {
            id_: document
            for id_, (_, document) in self.indices[index].items()
            if document is not None
        }

    def trouble(
        self, method: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes] | None:
        """What it says instead of an answer."""
        if self.authorization not in (None, headers.get("Authorization")):
            return 401, b"{}"
        if method != "POST" and self.look is not None:
            return self.look, b"{}"
        if len(body) > self.most_bytes:
            return 413, b"<html>too large</html>"
        if method == "POST" and self.troubles:
            return self.troubles.pop(0)
        if body and headers["Content-Type"] not in _TYPES:
            return 406, b"{}"
        return None

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """What it says to a request."""
        parts = path.strip("/").split("/")
        known = self.indices.get(parts[0])
        match method, len(parts) > 1 and parts[1]:
            case "HEAD", False:
                return (200 if known is not None else 404), None
            case "PUT", False:
                if known is not None:
                    return 400, _error("resource_already_exists_exception")
                self.mappings[parts[0]] = json.loads(body)
                self.indices[parts[0]] = {}
                return 200, {"acknowledged": True}
            case "POST", "_bulk":
                if known is None and self.makes_missing:
                    known = self.indices[parts[0]] = {}
                return self._bulk(known, body)
            case _:
                return 405, _error("method_not_allowed")

    def _bulk(self, known: dict[str, tuple[int, Any]] | None, body: bytes) -> tuple[int, Any]:
        if not body.endswith(b"\n"):
            return 400, _error("illegal_argument_exception")
        lines = iter(body.split(b"\n")[:-1])
        actions: list[tuple[str, dict[str, Any], Any]] = []
        for line in lines:
            [(verb, action)] = json.loads(line).items()
            actions.append((verb, action, json.loads(next(lines)) if verb == "index" else None))
        if any(
            verb == "index" and len(action["_id"].encode()) > 512 for verb, action, _ in actions
        ):
            return 400, _error("action_request_validation_exception")
        self.sizes.append(len(body))
        items: list[dict[str, Any]] = []
        for verb, action, document in actions:
            self.taken.append((action["_id"], action["version"]))
            status, error = self._apply(known, action, document)
            item: dict[str, Any] = {"_id": action["_id"], "status": status}
            items.append({verb: item | ({"error": _reason(error)} if error else {})})
        errors = any("error" in value for item in items for value in item.values())
        return 200, {"errors": errors, "items": items}

    @staticmethod
    def _apply(
        known: dict[str, tuple[int, Any]] | None, action: dict[str, Any], document: Any
    ) -> tuple[int, str | None]:
        if known is None:
            return 404, "index_not_found_exception"
        if {*action} != {"_id", "version", "version_type"} or action["version_type"] != "external":
            return 400, "illegal_argument_exception"
        before = known.get(action["_id"])
        if before is not None and before[0] >= action["version"]:
            return 409, "version_conflict_engine_exception"
        known[action["_id"]] = (action["version"], document)
        if document is None and (before is None or before[1] is None):
            return 404, None
        return (201 if before is None else 200), None


def _reason(kind: str) -> dict[str, str]:
    return {"type": kind, "reason": f"because of {kind}"}


def _error(kind: str) -> dict[str, Any]:
    return {"error": _reason(kind), "status": 400}


def _drip(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    with suppress(OSError):  # nobody reads any more
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx-long: ")
        for _ in range(200):
            handler.wfile.write(b"x")
            time.sleep(0.05)


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if cluster.drips and self.command == "POST":
                _drip(self)
                return
            trouble = cluster.trouble(self.command, dict(self.headers.items()), body)
            if trouble is not None:
                status, content = trouble
            else:
                status, value = cluster.answer(self.command, self.path, body)
                content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            if 300 <= status < 400:
                self.send_header("location", content.decode())
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD: Callable[..., None] = _answer  # noqa: N815
        do_PUT: Callable[..., None] = _answer  # noqa: N815
        do_POST: Callable[..., None] = _answer  # noqa: N815

    return Handler


_TYPES = ("application/json", "application/x-ndjson")
