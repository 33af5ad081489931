"""The operator's lists of hosts hold for first hops, redirects and the addresses of names."""

import time
from collections.abc import Iterator

import pytest

from shared.domain.host import hosts_from_commas
from shared.errors import BadUrl, BlockedHost, FetchError
from shared.settings import PhotoLimits
from tests.origins import Origin, answer, redirect
from tests.worker.fetch.fetching import PHOTO, make_settings
from worker.fetch.call import Download
from worker.fetch.download import Downloader
from worker.fetch.policy import check_hop


def _limits(allowed: str = "", denied: str = "") -> PhotoLimits:
    return make_settings(
        allowed_hosts=hosts_from_commas(allowed) if allowed else frozenset[str](),
        denied_hosts=hosts_from_commas(denied) if denied else frozenset[str](),
    )


@pytest.mark.parametrize(
    ("allowed", "denied", "host", "passes"),
    [
        ("", "", "any.example", True),
        ("example.com", "", "example.com", True),
        ("example.com", "", "CDN.Example.COM.", True),
        ("example.com", "", "notexample.com", False),
        ("example.com", "", "example.com.evil.test", False),
        ("example.com", "", "8.8.8.8", False),
        ("b\u00fccher.example", "", "xn--bcher-kva.example", True),
        ("xn--bcher-kva.example", "", "img.b\u00fccher.example", True),
        ("8.8.8.8", "", "0x08080808", True),
        ("8.8.8.8", "", "8.8.8.9", False),
        ("2001:db8::1", "", "[2001:DB8:0::1]", True),
        ("", "example.com", "example.com", False),
        ("", "example.com", "cdn.EXAMPLE.com", False),
        ("", "example.com", "example.org", True),
        ("", "8.8.8.8", "8.8.2056", False),
        ("", "2001:db8::1", "[2001:db8::0:1]", False),
        ("example.com", "bad.example.com", "good.example.com", True),
        ("example.com", "bad.example.com", "bad.example.com", False),
        ("example.com", "bad.example.com", "very.bad.example.com", False),
        ("bad.example.com,a.example", "example.com", "bad.example.com", False),
    ],
)
@pytest.mark.parametrize(
    "url", ["http://{}/p", "https://{}:443/p?a=http://b.example/", "http://{}:443"]
)
def test_a_host_passes_where_it_is_allowed_and_not_denied(
    allowed: str, denied: str, host: str, url: str, *, passes: bool
) -> None:
    limits = _limits(allowed, denied)
    if passes:
        check_hop(url.format(host), limits)
    else:
        with pytest.raises(BlockedHost, match=r"TAGGER_(ALLOWED|DENIED)_HOSTS") as caught:
            check_hop(url.format(host), limits)
        assert not caught.value.retryable


def test_what_is_no_url_is_a_bad_url_whatever_the_lists_say() -> None:
    with pytest.raises(BadUrl):
        check_hop("http://user@example.com/", _limits("example.com"))


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


def _fetch(url: str, limits: PhotoLimits) -> Download | FetchError:
    downloader = Downloader(limits)
    [result] = downloader.fetch([url], deadline_s=5)
    downloader.close()
    return result


def test_a_host_that_is_not_allowed_is_never_dialled(origin: Origin) -> None:
    url = origin.serve("/p", answer(200, PHOTO))
    limits = make_settings(origin.port, allowed_hosts="photos.example")
    assert isinstance(_fetch(url, limits), BlockedHost)
    time.sleep(0.02)
    assert origin.accepted == 0
    assert isinstance(_fetch(url, make_settings(origin.port, allowed_hosts="127.0.0.1")), Download)


@pytest.mark.parametrize(
    "lists", [{"allowed_hosts": "127.0.0.1"}, {"denied_hosts": "127.0.0.2"}], ids=str
)
def test_a_redirect_to_a_host_that_is_not_allowed_is_not_followed(
    origin: Origin, lists: dict[str, str]
) -> None:
    with Origin(address="127.0.0.2", port=origin.port) as other:
        photo = other.serve("/p", answer(200, PHOTO))
        url = origin.serve("/moved", redirect(photo))
        assert isinstance(_fetch(url, make_settings(origin.port, **lists)), BlockedHost)
        assert (origin.accepted, other.accepted) == (1, 0)
        assert isinstance(_fetch(url, make_settings(origin.port)), Download)


def test_a_denied_address_is_not_dialled_under_a_name(origin: Origin) -> None:
    origin.serve("/p", answer(200, PHOTO))
    url = origin.url("/p", host="localhost")
    limits = make_settings(origin.port, denied_hosts="127.0.0.1,::1")
    assert isinstance(_fetch(url, limits), BlockedHost)
    time.sleep(0.02)
    assert origin.accepted == 0
    assert isinstance(_fetch(url, make_settings(origin.port, denied_hosts="127.0.0.9")), Download)
