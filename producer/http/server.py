"""The server: uvicorn with all its bounds set, on one socket, until it is told to stop."""

import ipaddress
import logging
import signal
import socket

import structlog
import uvicorn
from sqlalchemy import Engine

from producer.http.app import make_app
from producer.http.signatures import read_keys
from shared.connection import bounded
from shared.errors import SetupError
from shared.settings import Settings

log = structlog.get_logger()

_BACKLOG = 128


def serve(settings: Settings, engine: Engine, host: str, port: int) -> None:
    """Takes events until SIGTERM or SIGINT; what was accepted by then is committed.

    Raises:
        SetupError: there are no keys, or the address cannot be listened on.
    """
    listener = listen(settings, host, port)
    server = make_server(settings, engine)
    for number in (signal.SIGTERM, signal.SIGINT):
        # While it runs uvicorn handles them itself, and raises them again when it is done.
        signal.signal(number, lambda _number, _frame: setattr(server, "should_exit", True))
    log.info("intake.listening", host=host, port=listener.getsockname()[1])
    server.run([listener])
    log.info("intake.stopped")


def listen(settings: Settings, host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any free one.

    Raises:
        SetupError: events would come unsigned from elsewhere, or the address is not to be had.
    """
    if settings.webhook_secrets is None and not _may_be_unsigned(settings, host):
        raise SetupError(
            "set TAGGER_WEBHOOK_SECRETS to the keys that events are signed with; on a loopback"
            " address TAGGER_ALLOW_UNSIGNED_EVENTS=true does without"
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SetupError(f"{host}:{port}: {error.strerror}") from None


def make_server(settings: Settings, engine: Engine) -> uvicorn.Server:
    """A server that is yet to run.

    Raises:
        SetupError: a key is not in form.
    """
    secrets = settings.webhook_secrets
    keys = read_keys(secrets.get_secret_value()) if secrets else ()
    config = uvicorn.Config(
        make_app(settings, engine, keys),
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
        timeout_graceful_shutdown=round(settings.body_deadline_s + settings.answer_deadline_s),
    )
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    return uvicorn.Server(config)


def _may_be_unsigned(settings: Settings, host: str) -> bool:
    try:
        return settings.allow_unsigned_events and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
