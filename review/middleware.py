"""What holds for every request and every answer, whatever its route.

A request must name this server as its host: a name that somebody else's DNS points here
(rebinding) is not ours. One that changes something must come from our own pages: browsers say so
in `Origin` (Fetch standard, 3.1), which scripts cannot forge. Answers let a browser load nothing
from elsewhere, run no script but ours, and be framed by nobody.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE_METHODS: Final = ("GET", "HEAD")
_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _CSP,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    # Not no-referrer: with it, browsers send `Origin: null` with forms of our own.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class SecurityMiddleware:
    """An ASGI application in front of another."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        """Guards an application.

        Args:
            app: which one.
            origins: that browsers may see it under, such as `https://review.shop.example`.
        """
        self._app = app
        self._origins = frozenset(origins)
        self._hosts = frozenset(urlsplit(origin).netloc for origin in self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses a request, or hands it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if headers.getlist("host") not in ([host] for host in self._hosts):
            return PlainTextResponse("This server is not called that.", 421)
        if scope["method"] in _SAFE_METHODS:
            return None
        if headers.getlist("origin") not in ([origin] for origin in self._origins):
            return PlainTextResponse("That form is not one of this server's.", 403)
        return None
