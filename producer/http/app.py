"""The ASGI application: its routes, its answers and its OpenAPI description."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from producer.http.backlog import Backlog
from producer.http.endpoint import Endpoint
from producer.http.problems import (
    DATABASE_AWAY,
    MEDIA_TYPE,
    METHOD,
    NOT_FOUND,
    UNEXPECTED,
    RequestRefused,
)
from producer.http.recorder import THREADS, Recorder
from producer.http.uploads import Upload
from shared.settings import Settings

log = structlog.get_logger()

#: Connections to Postgres: the recorder's threads, and the look at the backlog.
CONNECTIONS: Final = THREADS + 1

_EXAMPLE: Final = {
    "specversion": "1.0",
    "type": "listing.created",
    "source": "https://shop.example.com",
    "id": "e-1",
    "time": "2026-01-01T12:00:00Z",
    "subject": "L-1",
    "data": {
        "title": "Canon AE-1",
        "seller_tags": ["camera", "vintage"],
        "photos": ["https://img.example.com/1.jpg"],
    },
}
_REFUSALS: Final = {
    401: "no signature, or a wrong one",
    408: "the body came too slowly",
    409: "signed too long ago, or other content was taken under this webhook-id",
    413: "too many bytes, or too many events",
    415: "not CloudEvents in JSON",
    422: "no event that can be recorded; nothing is stored",
    429: "too many photos wait, or too many requests are at work",
    503: "Postgres is away; nothing is lost by sending again",
}
_OPENAPI: Final[dict[str, Any]] = {
    "parameters": [
        {"name": name, "in": "header", "schema": {"type": "string"}, "description": described}
        for name, described in {
            "webhook-id": "the message's id, the same in all its retries",
            "webhook-timestamp": "Unix time of this attempt, in seconds",
            "webhook-signature": "v1,<base64 of HMAC-SHA256 over id.timestamp.body>, one or more",
        }.items()
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents+json": {"schema": {"type": "object"}, "example": _EXAMPLE},
            "application/cloudevents-batch+json": {
                "schema": {"type": "array", "items": {"type": "object"}},
                "example": [_EXAMPLE],
            },
            "application/json": {
                "schema": {"type": "object"},
                "description": "binary mode: data alone, attributes in headers ce-...",
                "example": _EXAMPLE["data"],
            },
        },
    },
    "responses": {
        str(status): {
            "description": described,
            "content": {MEDIA_TYPE: {"schema": {"type": "object"}}},
        }
        for status, described in _REFUSALS.items()
    },
}


class Refusal(Response):
    """Problem details, sent at once; then what the client still sends is dropped for a while.

    A client that sends without reading would otherwise see a reset instead of the answer.
    """

    media_type = MEDIA_TYPE

    def __init__(self, refused: RequestRefused, upload: Upload | None = None) -> None:
        self._rest = upload if upload and not upload.complete else None
        closing = {"connection": "close"} if self._rest else {}
        super().__init__(
            json.dumps(refused.document()),
            refused.problem.status,
            {**refused.problem.headers, **closing},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers."""
        if self._rest is None:
            await super().__call__(scope, receive, send)
            return
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await self._rest.discard()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def make_app(settings: Settings, engine: Engine, keys: tuple[bytes, ...]) -> FastAPI:
    """The application; it starts and ends its threads with its lifespan.

    Args:
        settings: all limits.
        engine: with `CONNECTIONS`.
        keys: that requests may be signed with; without any, they need no signature.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        recorder, backlog = Recorder(engine, settings), Backlog(engine, settings)
        app.state.backlog = backlog
        app.state.endpoint = Endpoint(settings, keys, recorder, backlog)
        yield
        recorder.close()
        backlog.close()

    app = FastAPI(
        title="listing-tagger intake",
        summary="Takes a marketplace's listing events as CloudEvents 1.0, signed by the Standard "
        "Webhooks specification.",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
    )
    app.add_api_route(
        "/events",
        _events,
        methods=["POST"],
        status_code=202,
        response_description="Committed; rejected events of a batch are kept with their reasons.",
        openapi_extra=_OPENAPI,
    )
    app.add_api_route("/healthz", _healthz, methods=["GET"])
    app.add_api_route("/readyz", _readyz, methods=["GET"])
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(Exception, _unexpected)
    return app


async def _events(request: Request) -> Response:
    """Record one listing event, or a batch of them."""
    endpoint: Endpoint = request.app.state.endpoint
    upload = endpoint.upload(request)
    try:
        answer = await endpoint.take(request.headers.raw, upload)
    except RequestRefused as refused:
        log.debug("intake.refused", code=refused.kind)
        return Refusal(refused, upload)
    return JSONResponse(answer, status_code=202)


async def _healthz() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "alive"}


async def _readyz(request: Request) -> Response:
    """Whether events can be recorded: Postgres is there, and the schema is in it."""
    backlog: Backlog = request.app.state.backlog
    if backlog.trouble:
        return Refusal(RequestRefused(DATABASE_AWAY, backlog.trouble))
    return JSONResponse({"status": "ready"})


async def _no_route(_request: Request, error: Exception) -> Response:
    known = isinstance(error, HTTPException) and error.status_code == 405
    return Refusal(RequestRefused(METHOD if known else NOT_FOUND))


async def _unexpected(_request: Request, _error: Exception) -> Response:
    # Starlette raises it again afterwards, so that the server logs it.
    return Refusal(RequestRefused(UNEXPECTED))
