"""The intake's server: it takes unsigned events where they can come from this machine alone."""

import socket

import structlog
import uvicorn
from sqlalchemy import Engine

from producer.http.app import make_app
from producer.http.signatures import read_keys
from shared.errors import SetupError
from shared.http import server
from shared.settings import Settings

log = structlog.get_logger()


def serve(settings: Settings, engine: Engine, host: str, port: int) -> None:
    """Takes events until SIGTERM or SIGINT; what was accepted by then is committed.

    Raises:
        SetupError: there are no keys, or the address cannot be listened on.
    """
    listener = listen(settings, host, port)
    intake = make_server(settings, engine)
    server.stop_by_signals(intake)
    log.info("intake.listening", host=host, port=listener.getsockname()[1])
    intake.run([listener])
    log.info("intake.stopped")


def listen(settings: Settings, host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any free one.

    Raises:
        SetupError: events would come unsigned from elsewhere, or the address is not to be had.
    """
    may_be_unsigned = settings.allow_unsigned_events and server.is_loopback(host)
    if settings.webhook_secrets is None and not may_be_unsigned:
        raise SetupError(
            "set TAGGER_WEBHOOK_SECRETS to the keys that events are signed with; on a loopback"
            " address TAGGER_ALLOW_UNSIGNED_EVENTS=true does without"
        )
    return server.listen(host, port)


def make_server(settings: Settings, engine: Engine) -> uvicorn.Server:
    """A server that is yet to run.

    Raises:
        SetupError: a key is not in form.
    """
    secrets = settings.webhook_secrets
    keys = read_keys(secrets.get_secret_value()) if secrets else ()
    return server.make_server(
        make_app(settings, engine, keys),
        settings,
        grace_s=round(settings.body_deadline_s + settings.answer_deadline_s),
    )
