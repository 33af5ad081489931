"""The server starts where it may, and says what is missing where it may not."""

import socket
import subprocess
import sys
from contextlib import closing

import pytest
from pydantic import SecretStr

from producer.http.server import listen
from shared.errors import SetupError
from shared.settings import Settings
from tests.sender import SECRET


@pytest.fixture
def signed(servers: object, settings: Settings) -> Settings:
    """Settings with a key."""
    del servers
    return settings.model_copy(update={"webhook_secrets": SecretStr(SECRET)})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1"])
def test_unsigned_events_may_come_from_loopback_where_that_is_allowed(
    settings: Settings, host: str
) -> None:
    with pytest.raises(SetupError, match="TAGGER_WEBHOOK_SECRETS"):
        listen(settings, host, 0)
    allowed = settings.model_copy(update={"allow_unsigned_events": True})
    listen(allowed, host, 0).close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "localhost", "192.168.0.1", "example.com"])  # noqa: S104  # refused
def test_unsigned_events_never_come_from_elsewhere(settings: Settings, host: str) -> None:
    allowed = settings.model_copy(update={"allow_unsigned_events": True})
    with pytest.raises(SetupError, match="TAGGER_WEBHOOK_SECRETS"):
        listen(allowed, host, 0)


def test_an_address_that_is_taken_is_named(signed: Settings) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match=f"127.0.0.1:{port}: Address already in use"):
            listen(signed, "127.0.0.1", port)


def test_without_its_extra_the_command_names_it() -> None:
    program = (
        "import sys; sys.modules['fastapi'] = None; sys.argv = ['tagger', 'intake', 'http'];"
        "import tagger; tagger.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "setup_error" in done.stderr
    assert ".[http]" in done.stderr
    assert "Traceback" not in done.stderr
