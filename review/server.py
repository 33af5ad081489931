"""The page's server: beyond this machine it is shown under one https origin only."""

import socket

import structlog
import uvicorn
from sqlalchemy import Engine

from review.app import make_app
from shared.errors import SetupError
from shared.http import server
from shared.settings import Settings
from worker.decode import pixels

log = structlog.get_logger()

_GRACE_S = 10


def serve(settings: Settings, engine: Engine, host: str, port: int) -> None:
    """Shows the page until SIGTERM or SIGINT.

    Raises:
        SetupError: nobody could reach it safely, or the address is not to be had.
    """
    pixels.configure()
    listener = listen(settings, host, port)
    origins = origins_of(settings, listener)
    page = make_server(settings, engine, origins)
    server.stop_by_signals(page)
    log.info("review.listening", origin=min(origins), port=listener.getsockname()[1])
    page.run([listener])
    log.info("review.stopped")


def listen(settings: Settings, host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any free one.

    Raises:
        SetupError: passwords would cross a network in the clear, or the address is not to be had.
    """
    if host == "localhost":
        host = "127.0.0.1"
    if settings.review_origin is None and not server.is_loopback(host):
        raise SetupError(
            "set TAGGER_REVIEW_ORIGIN to the https:// URL that browsers see: beyond this machine"
            " the page belongs behind a server that ends TLS"
        )
    return server.listen(host, port)


def origins_of(settings: Settings, listener: socket.socket) -> frozenset[str]:
    """Under which origins browsers see the page: the one that is set, or this machine's own."""
    if settings.review_origin is not None:
        return frozenset({settings.review_origin})
    address, port = listener.getsockname()[:2]
    host = f"[{address}]" if ":" in address else address
    return frozenset({f"http://{host}:{port}", f"http://localhost:{port}"})


def make_server(settings: Settings, engine: Engine, origins: frozenset[str]) -> uvicorn.Server:
    """A server that is yet to run."""
    return server.make_server(make_app(settings, engine, origins), settings, grace_s=_GRACE_S)
