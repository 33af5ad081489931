"""A reviewer at a keyboard, in a real browser: everything the page does, without a mouse."""

from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dev.listings import PhotoFile
from dev.origin import Origin
from shared.settings import Settings
from tests.browser import Browser, chromium
from tests.marketplace import listing, rows
from tests.review.page import NAME, Page, Serve, flag, may_fetch

pytestmark = pytest.mark.timeout(300)

_VOTES = "SELECT external_id, kind, subject, verdict FROM vote JOIN listing ON id = listing_id "


@pytest.fixture
def browser(tmp_path: Path) -> Generator[Browser]:
    """A browser that knows nothing yet."""
    with chromium(tmp_path) as browser:
        yield browser


@pytest.fixture
def page(
    serve: Serve, engine: Engine, settings: Settings, origin: Origin, photos: list[PhotoFile]
) -> Page:
    """Three listings: one flagged, two uncertain."""
    urls = [f"{origin.url}/{photo.path}" for photo in photos[:3]]
    listing(engine, settings, "L1", [0.9, 0.8], photos=urls, title="Camera, cables, bargain")
    listing(engine, settings, "L2", [0.51, 0.1], photos=[urls[1]], title="Nearly a camera")
    listing(engine, settings, "L3", [0.8, 0.1], photos=[urls[2]], title="Another one")
    flag(engine, 1, 0.97, reason="The photos show a camera; hardly any are filed under bargain.")
    return serve(**may_fetch(origin))


def _sign_in(browser: Browser, page: Page) -> None:
    browser.go(page.url)
    browser.wait_for(lambda: browser.focused() == "name")
    browser.type(NAME)
    browser.press("Tab")
    browser.type(page.password)
    browser.press("Enter")
    browser.wait_for(lambda: "Waiting for a vote" in browser.text())


def _pictures(browser: Browser) -> bool:
    """Whether every picture is there."""
    return bool(
        browser.run(
            "document.readyState === 'complete' && "
            "[...document.images].every(one => one.complete && one.naturalWidth > 0)"
        )
    )


def test_a_whole_round_of_reviewing(browser: Browser, page: Page, engine: Engine) -> None:
    _sign_in(browser, page)
    browser.wait_for(lambda: _pictures(browser))
    browser.press("n")
    browser.wait_for(lambda: "Camera, cables, bargain" in browser.text("h1"))
    # A flag and two tags, each confirmed or rejected by one key; the focus goes on by itself.
    for at, key in enumerate("aar"):
        browser.wait_for(lambda at=at: browser.focused() == f"s{at}")
        browser.press(key)
    browser.wait_for(lambda: browser.focused() == "s3")
    first = [
        ("L1", "spam", "bargain", "accept"),
        ("L1", "tag", "cable", "reject"),
        ("L1", "tag", "camera", "accept"),
    ]
    assert rows(engine, _VOTES + "ORDER BY kind, subject") == first
    # Undo, and think again.
    browser.press("u")
    browser.wait_for(lambda: browser.focused() == "s2")
    assert rows(engine, _VOTES + "ORDER BY kind, subject") == [first[0], first[2]]
    browser.press("a")
    browser.wait_for(lambda: browser.focused() == "s3")
    browser.press("Enter")  # on Next
    browser.wait_for(lambda: "Nearly a camera" in browser.text("h1"))
    browser.press("p")
    browser.wait_for(lambda: "Camera, cables, bargain" in browser.text("h1"))
    browser.press("n")
    browser.wait_for(lambda: "Nearly a camera" in browser.text("h1"))
    browser.press("r")
    browser.wait_for(lambda: len(rows(engine, _VOTES)) == 4 and browser.focused() == "s1")
    # What the model missed.
    browser.press("m")
    browser.wait_for(lambda: browser.focused() == "missing")
    browser.type("cable")
    browser.press("Enter")
    browser.wait_for(lambda: "added by a reviewer" in browser.text())
    browser.press("n")
    browser.wait_for(lambda: "Another one" in browser.text("h1"))
    browser.press("n")
    browser.wait_for(lambda: "Waiting for a vote" in browser.text("h1"))
    assert "Another one" in browser.text()
    assert "Nearly a camera" not in browser.text()
    assert rows(engine, _VOTES + "WHERE external_id = 'L2' ORDER BY subject") == [
        ("L2", "tag", "cable", "accept"),
        ("L2", "tag", "camera", "reject"),
    ]
    assert [said for said in browser.complaints() if page.url in said] == []


def test_moving_about_and_the_other_keys(browser: Browser, page: Page) -> None:
    _sign_in(browser, page)
    browser.press("n")
    browser.wait_for(lambda: browser.focused() == "s0")
    for key, at in (("j", 1), ("ArrowDown", 2), ("j", 3), ("j", 3), ("k", 2), ("k", 1), ("k", 0)):
        browser.press(key)
        assert browser.focused() == f"s{at}"
    # Where one is can be seen, also on the page that a key leads to.
    browser.press("j", "w")
    browser.wait_for(lambda: "where=" in browser.url and browser.focused() == "s1")
    outline = "getComputedStyle(document.getElementById('s1')).outlineStyle"
    browser.wait_for(lambda: browser.run(outline) == "solid")
    browser.press("w")  # the plain photo again
    browser.wait_for(lambda: "where=" not in browser.url and browser.focused())
    browser.press("?")
    assert browser.run("document.getElementById('keys').open")
    assert "where the network looked" in browser.text("#keys")
    browser.press("?")
    assert not browser.run("document.getElementById('keys').open")
    before = browser.run("document.querySelector('figure img').src")
    browser.press("]")
    browser.wait_for(lambda: browser.run("document.querySelector('figure img').src") != before)
    browser.press("[")
    browser.wait_for(lambda: browser.run("document.querySelector('figure img').src") == before)
    # In a field, keys are letters.
    browser.press("m")
    browser.type("unj?")
    assert browser.run("document.getElementById('missing').value") == "unj?"
    browser.press("Escape")
    browser.press("q")
    browser.wait_for(lambda: "Waiting for a vote" in browser.text("h1"))


def test_it_fits_a_narrow_screen_and_every_control_has_a_name(browser: Browser, page: Page) -> None:
    _sign_in(browser, page)
    browser.resize(360, 740)
    for path in ("/", "/listing/1", "/precision", "/sign-in"):
        browser.go(page.url + path)
        assert browser.run("document.documentElement.scrollWidth") <= 360, path
        unnamed = browser.run(
            "[...document.querySelectorAll('button, a, input:not([type=hidden]), select, img')]"
            ".filter(one => !one.matches('img[alt=\"\"]') && !(one.innerText || one.alt || "
            "one.ariaLabel || (one.labels && one.labels.length) || "
            "[...one.querySelectorAll('img')].some(i => i.alt) || one.textContent.trim()))"
            ".map(one => one.outerHTML)"
        )
        assert unnamed == [], path


def test_without_scripts_a_click_does_what_keys_do(
    browser: Browser, page: Page, engine: Engine
) -> None:
    _sign_in(browser, page)
    browser.without_scripts()
    browser.go(page.url)
    browser.click("[data-go=next]")
    browser.press("a")
    browser.click(".subject:not(.flag) .accept")
    browser.wait_for(lambda: browser.url.endswith("#s2"))
    assert rows(engine, _VOTES) == [("L1", "tag", "camera", "accept")]
    browser.click(".steps [data-go=undo]")
    browser.wait_for(lambda: rows(engine, _VOTES) == [])
    browser.click(".where")
    browser.wait_for(lambda: "where=" in browser.url)
    browser.click("[data-go=plain]")
    browser.wait_for(lambda: "where=" not in browser.url)
    browser.click(".steps [data-go=next]")
    browser.wait_for(lambda: browser.url.startswith(f"{page.url}/listing/2?"))
    browser.click(".steps [data-go=previous]")
    browser.wait_for(lambda: browser.url.startswith(f"{page.url}/listing/1?"))
