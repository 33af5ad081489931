"""A server: uvicorn with all its bounds set, on one socket, until it is told to stop."""

import ipaddress
import logging
import signal
import socket

import uvicorn
from starlette.types import ASGIApp

from shared.errors import SetupError
from shared.http.connection import bounded
from shared.settings import Settings

_BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any free one.

    Raises:
        SetupError: the address is not to be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SetupError(f"{host}:{port}: {error.strerror}") from None


def is_loopback(host: str) -> bool:
    """Whether it is an address that only this machine can reach; a name is none."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_server(app: ASGIApp, settings: Settings, *, grace_s: int) -> uvicorn.Server:
    """A server that is yet to run.

    Args:
        app: what answers.
        settings: the bounds of a connection.
        grace_s: how long requests that are under way may take once it is told to stop.
    """
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=bounded(settings),
        ws="none",
        lifespan="on",
        interface="asgi3",
        # What clients do wrong is answered, not logged.
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=settings.max_header_bytes,
        timeout_keep_alive=settings.idle_connection_s,
        timeout_graceful_shutdown=grace_s,
    )
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    return uvicorn.Server(config)


def stop_by_signals(server: uvicorn.Server) -> None:
    """Lets SIGTERM and SIGINT end it, from now on until it has ended."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # While it runs uvicorn handles them itself, and raises them again when it is done.
        signal.signal(number, lambda _number, _frame: setattr(server, "should_exit", True))
