"""What X-Robots-Tag forbids, by Google's published format."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Disallowed, FetchError
from tests.origins import Origin, raw, redirect
from tests.worker.fetch.fetching import make_settings
from worker.fetch.call import Download
from worker.fetch.download import Downloader
from worker.fetch.robots import forbidding_rule, product_token


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ([], None),
        ([""], None),
        (["noindex"], "noindex"),
        (["none"], "none"),
        (["noai"], "noai"),
        (["noimageai"], "noimageai"),
        (["noimageindex"], "noimageindex"),
        (["NoIndex"], "noindex"),
        (["all"], None),
        (["index, follow"], None),
        (["nofollow, noarchive, nosnippet, notranslate"], None),
        (["noindexes"], None),
        (["nofollow,NOAI"], "noai"),
        (["  nofollow ,\tnoimageindex  "], "noimageindex"),
        (["nofollow", "noindex"], "noindex"),
        # rules with values
        (["unavailable_after: 25 Jun 2010 15:00:00 PST"], None),
        (["unavailable_after: Friday, 25 Jun 2010 15:00:00 PST, noindex"], "noindex"),
        (["max-snippet:0, max-image-preview: none, max-video-preview:0"], None),
        (["max-image-preview:large, noai"], "noai"),
        # for one program by name
        (["googlebot: noindex"], None),
        (["listing-tagger: noindex"], "noindex"),
        (["Listing-Tagger:NOAI"], "noai"),
        (["*: noai"], "noai"),
        (["listing-tagger: nofollow, noindex"], "noindex"),
        (["otherbot: noindex, nofollow"], None),
        (["otherbot: nofollow, noindex"], None),
        (["googlebot: nofollow", "otherbot: noindex, nofollow"], None),
        (["googlebot: nofollow", "noindex"], "noindex"),
        (["otherbot: noindex, listing-tagger: noai"], "noai"),
        (["listing-tagger: all", "noindex"], "noindex"),
        (["noindex, otherbot: noai"], "noindex"),
        (["not a name: noindex"], None),
        (["25 Jun 2010 15:00:00 PST, noindex"], "noindex"),
        ([":noindex", "listing-tagger-2: noindex"], None),
    ],
)
def test_a_photo_is_forbidden_by_rules_for_everybody_and_for_us(
    fields: list[str], rule: str | None
) -> None:
    assert forbidding_rule(fields, "listing-tagger") == rule


@given(st.lists(st.text(max_size=30)), st.text(max_size=10))
def test_no_field_raises(fields: list[str], agent: str) -> None:
    forbidding_rule(fields, agent)


@pytest.mark.parametrize(
    ("agent", "token"),
    [("listing-tagger/0.1.0 (+x)", "listing-tagger"), ("Shop (bot)", "Shop"), ("Shop", "Shop")],
)
def test_programs_are_named_by_the_first_word_of_their_user_agent(agent: str, token: str) -> None:
    assert product_token(agent) == token


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


def _fetch(origin: Origin, url: str, **changes: object) -> Download | FetchError:
    downloader = Downloader(make_settings(origin.port, **changes))
    [result] = downloader.fetch([url], deadline_s=5)
    downloader.close()
    return result


def _tagged(*fields: str) -> bytes:
    lines = "".join(f"X-Robots-Tag: {field}\r\n" for field in fields)
    return f"HTTP/1.1 200 OK\r\n{lines}Content-Length: 5\r\n\r\nphoto".encode()


@pytest.mark.parametrize(
    ("fields", "forbidden"),
    [
        (("otherbot: nofollow", "noai"), True),
        (("otherbot: noai", "nofollow"), False),
        (("shop: noindex",), False),
    ],
)
def test_it_counts_only_where_the_setting_says_so(
    origin: Origin, fields: tuple[str, ...], *, forbidden: bool
) -> None:
    url = origin.serve("/p", raw(_tagged(*fields)))
    assert isinstance(_fetch(origin, url), Download)
    result = _fetch(origin, url, respect_robots_tag=True)
    assert isinstance(result, Disallowed if forbidden else Download)


def test_rules_are_for_us_under_the_name_that_we_send(origin: Origin) -> None:
    url = origin.serve("/p", raw(_tagged("shop: noindex")))
    result = _fetch(origin, url, respect_robots_tag=True, user_agent="Shop/1.0 (+a@b.example)")
    assert isinstance(result, Disallowed)
    assert not result.retryable


def test_rules_on_a_redirect_or_in_a_trailer_are_not_the_photos(origin: Origin) -> None:
    photo = (
        b"HTTP/1.1 103 Early\r\nX-Robots-Tag: noai\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nphoto\r\n0\r\n"
        b"X-Robots-Tag: noai\r\n\r\n"
    )
    origin.serve("/p", raw(photo))
    moved = b"HTTP/1.1 302 Found\r\nX-Robots-Tag: noai\r\nLocation: /p\r\n\r\n"
    url = origin.serve("/moved", raw(moved))
    assert isinstance(_fetch(origin, url, respect_robots_tag=True), Download)
    assert isinstance(_fetch(origin, origin.serve("/r", redirect("/p"))), Download)
