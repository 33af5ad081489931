"""The server: uvicorn with all its bounds set, on one socket, until it is told to stop."""

import ipaddress
import logging
import signal
import socket

import structlog
import uvicorn
from sqlalchemy import Engine

from review.app import make_app
from shared.connection import bounded
from shared.errors import SetupError
from shared.settings import Settings
from worker.decode import pixels

log = structlog.get_logger()

_BACKLOG = 64
_GRACE_S = 10


def serve(settings: Settings, engine: Engine, host: str, port: int) -> None:
    """Shows the page until SIGTERM or SIGINT.

    Raises:
        SetupError: nobody could reach it safely, or the address is not to be had.
    """
    pixels.configure()
    listener = listen(settings, host, port)
    origins = origins_of(settings, listener)
    server = make_server(settings, engine, origins)
    for number in (signal.SIGTERM, signal.SIGINT):
        # While it runs uvicorn handles them itself, and raises them again when it is done.
        signal.signal(number, lambda _number, _frame: setattr(server, "should_exit", True))
    log.info("review.listening", origin=min(origins), port=listener.getsockname()[1])
    server.run([listener])
    log.info("review.stopped")


def listen(settings: Settings, host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any free one.

    Raises:
        SetupError: passwords would cross a network in the clear, or the address is not to be had.
    """
    if settings.review_origin is None and not _is_loopback(host):
        raise SetupError(
            "set TAGGER_REVIEW_ORIGIN to the https:// URL that browsers see: beyond this machine"
            " the page belongs behind a server that ends TLS"
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SetupError(f"{host}:{port}: {error.strerror}") from None


def origins_of(settings: Settings, listener: socket.socket) -> frozenset[str]:
    """Under which origins browsers see the page: the one that is set, or this machine's own."""
    if settings.review_origin is not None:
        return frozenset({settings.review_origin})
    address, port = listener.getsockname()[:2]
    host = f"[{address}]" if ":" in address else address
    return frozenset({f"http://{host}:{port}", f"http://localhost:{port}"})


def make_server(settings: Settings, engine: Engine, origins: frozenset[str]) -> uvicorn.Server:
    """A server that is yet to run."""
    config = uvicorn.Config(
        make_app(settings, engine, origins),
        loop="asyncio",
        http=bounded(settings),
        ws="none",
        lifespan="on",
        interface="asgi3",
        # What browsers do wrong is answered, not logged.
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=settings.max_header_bytes,
        timeout_keep_alive=settings.idle_connection_s,
        timeout_graceful_shutdown=_GRACE_S,
    )
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    return uvicorn.Server(config)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
