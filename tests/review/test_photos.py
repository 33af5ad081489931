"""A photo's host that hangs holds up that photo, for a moment, and nothing else."""

import threading
from collections.abc import Generator

import pytest
import requests
from sqlalchemy import Engine

from review.photos import PhotoProxy
from shared.errors import NotFound, TooSlow
from shared.settings import Settings
from tests.marketplace import listing, rows
from tests.origins import Origin, answer, hang
from tests.review.page import Serve
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def host() -> Generator[Origin]:
    """A host of photos."""
    with Origin() as origin:
        yield origin


def _limits(settings: Settings, host: Origin) -> Settings:
    return settings.model_copy(
        update={"allow_private_hosts": True, "allowed_ports": frozenset({host.port})}
    )


def test_a_host_that_hangs_is_asked_once_and_everybody_else_is_answered(
    serve: Serve, engine: Engine, settings: Settings, host: Origin
) -> None:
    """Two loads of a page of the queue whose cards all have one photo, of a host that hangs."""
    listing(engine, settings, "L1", [0.9, 0.1], photos=[host.serve("/x.jpg", hang())])
    [(photo,)] = rows(engine, "SELECT id FROM photo")
    page = serve(allow_private_hosts=True, allowed_ports=frozenset({host.port})).sign_in()
    cookies = {cookie.name: cookie.value or "" for cookie in page.http.cookies}
    answers: list[int] = []

    def load() -> None:
        path = f"{page.url}/photo/{photo}?size=small"
        answers.append(requests.get(path, cookies=cookies, timeout=200).status_code)

    loads = [threading.Thread(target=load) for _ in range(48)]
    for one in loads:
        one.start()
    wait_until(lambda: bool(host.requests))
    for path in ("/healthz", "/sign-in", "/static/review.css", "/", "/listing/1"):
        assert page.get(path).status_code == 200
    assert page.sign_in()
    # The photo is given up after eight seconds.
    assert answers == []
    for one in loads:
        one.join(200)
    assert {*answers} <= {404, 503}
    assert len(answers) == len(loads)
    assert len(host.requests) == 1


def test_what_failed_is_not_asked_again_at_once_and_other_photos_are(
    settings: Settings, host: Origin
) -> None:
    proxy = PhotoProxy(_limits(settings, host))
    gone = host.serve("/gone.jpg", answer(404))
    there = host.serve("/there.jpg", answer(200, b"a photo"))
    for _ in range(3):
        with pytest.raises(NotFound):
            proxy.body(gone)
        assert proxy.body(there) == b"a photo"
    assert len(host.requests) == 2
    proxy.close()


def test_who_waits_for_anothers_fetch_waits_no_longer_than_for_one(
    settings: Settings, host: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = PhotoProxy(_limits(settings, host))
    url = host.serve("/x.jpg", hang())
    failures: list[str] = []

    def ask() -> None:
        with pytest.raises(TooSlow) as failed:
            proxy.body(url)
        failures.append(failed.value.detail)

    first, second = threading.Thread(target=ask), threading.Thread(target=ask)
    first.start()
    wait_until(lambda: bool(host.requests))
    monkeypatch.setattr("review.photos._DEADLINE_S", 0.5)
    second.start()
    second.join(60)
    first.join(60)
    assert failures[0] == "others wait for it too"
    proxy.close()
