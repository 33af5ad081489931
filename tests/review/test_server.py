"""The page is shown to this machine, and beyond it under one https origin only."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from dev.services import Services
from review.server import listen, origins_of
from shared.errors import SetupError
from shared.settings import Settings
from tests.conftest import settings_for
from tests.review.page import Serve


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_on_loopback_it_is_its_own_origin(settings: Settings, host: str) -> None:
    with listen(settings, host, 0) as listener:
        port = listener.getsockname()[1]
        own = f"http://[::1]:{port}" if ":" in host else f"http://127.0.0.1:{port}"
        assert origins_of(settings, listener) == {own, f"http://localhost:{port}"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.0.1", "localhost.example"])  # noqa: S104  # refused
def test_elsewhere_it_needs_an_origin(settings: Settings, host: str) -> None:
    with pytest.raises(SetupError, match="TAGGER_REVIEW_ORIGIN"):
        listen(settings, host, 0)


def test_localhost_is_this_machine(settings: Settings) -> None:
    with listen(settings, "localhost", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_the_port_that_https_means_anyway_is_left_out_as_browsers_do(servers: Services) -> None:
    given = settings_for(servers, "x", review_origin="https://review.shop.example:443")
    assert given.review_origin == "https://review.shop.example"


def test_behind_tls_there_is_one_origin_and_the_cookie_stays_there(serve: Serve) -> None:
    page = serve(review_origin="https://review.shop.example")
    assert page.get("/sign-in").status_code == 421
    host = {"Host": "review.shop.example", "Origin": "https://review.shop.example"}
    form = {"name": "kim", "password": page.password}
    answer = page.post("/sign-in", form, **host)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-review_session=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    given = {"Host": host["Host"], "Cookie": cookie.partition(";")[0]}
    assert page.get("/", **given).status_code == 200
    # Another host of the domain could set this one.
    given["Cookie"] = given["Cookie"].removeprefix("__Host-")
    assert page.get("/", **given).status_code == 303


@pytest.mark.parametrize(
    "origin",
    [
        "http://review.shop.example",
        "https://",
        "https://review.shop.example/",
        "https://a@b",
        "https://A.example",
        "review.shop.example",
        "null",
        "https://review.shop.example:0443",
    ],
)
def test_an_origin_is_written_as_browsers_do(servers: Services, origin: str) -> None:
    with pytest.raises(ValidationError):
        settings_for(servers, "x", review_origin=origin)


def test_without_its_extra_the_command_names_it() -> None:
    program = (
        "import sys; sys.modules['jinja2'] = None; sys.argv = ['tagger', 'review'];"
        "import tagger; tagger.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "setup_error" in done.stderr
    assert ".[review]" in done.stderr
    assert "Traceback" not in done.stderr
