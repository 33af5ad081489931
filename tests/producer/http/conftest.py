"""An intake in this process, on a real socket."""

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

import pytest
from pydantic import SecretStr

from producer.http.app import CONNECTIONS
from producer.http.server import listen, make_server
from shared.db.session import make_engine
from shared.settings import Settings
from tests.sender import SECRET, Sender
from tests.waiting import wait_until

Serve = Callable[..., Sender]


@pytest.fixture
def serve(settings: Settings) -> Generator[Serve]:
    """Starts an intake with changed settings; returns who sends to it."""
    with ExitStack() as stack:

        def start(**changes: object) -> Sender:
            secrets: dict[str, object] = {"webhook_secrets": SecretStr(SECRET)}
            return stack.enter_context(_running(settings.model_copy(update=secrets | changes)))

        yield start


@contextmanager
def _running(settings: Settings) -> Generator[Sender]:
    engine = make_engine(settings, role="intake", connections=CONNECTIONS)
    listener = listen(settings, "127.0.0.1", 0)
    server = make_server(settings, engine)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    sender = Sender(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def ready() -> bool:
        assert thread.is_alive()
        return server.started and sender.get("/readyz").status == 200

    wait_until(ready)
    yield sender
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()
    engine.dispose()
