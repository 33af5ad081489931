"""Nobody sees or changes anything who is not signed in, and no word of a seller is code."""

import http.client
import re
import secrets
import socket
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

import pytest
from sqlalchemy import Engine, text

from review import reviewers
from shared.settings import Settings
from tests.marketplace import listing, rows
from tests.review.page import NAME, Page, Serve, fields, flag

_PAGES = ("/", "/listing/1", "/next", "/previous", "/precision")
_PICTURES = ("/photo/1", "/saliency/1?tag=camera")
_FORMS = ("/vote", "/undo", "/sign-out")


@pytest.fixture
def camera(engine: Engine, settings: Settings) -> int:
    """A listing with a tag."""
    return listing(engine, settings, "L1", [0.6, 0.1])


def _votes(engine: Engine) -> int:
    return rows(engine, "SELECT count(*) FROM vote")[0][0]


def test_without_a_session_there_is_nothing_but_the_way_in(
    serve: Serve, engine: Engine, camera: int
) -> None:
    page = serve()
    for path in _PAGES:
        answer = page.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert answer.text == ""
    for path in _PICTURES:
        assert page.get(path).status_code == 401
    form = {"listing": str(camera), "subject_kind": "tag", "subject": "camera", "verdict": "accept"}
    for path in _FORMS:
        assert page.post(path, form).headers["location"] == "/sign-in"
    assert _votes(engine) == 0


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "A" * 43, "A" * 5000, "é" * 43, '"; Path=/', "0" * 64],
)
def test_a_made_up_cookie_is_no_session(serve: Serve, cookie: str) -> None:
    answer = serve().get("/", Cookie=f"review_session={cookie}".encode().decode("latin-1"))
    assert answer.headers["location"] == "/sign-in"


def test_a_changed_cookie_is_no_session_and_the_real_one_is_out_of_scripts_reach(
    page: Page, serve: Serve, engine: Engine
) -> None:
    token = str(page.http.cookies["review_session"])
    for changed in (token[:-1], token + "A", token.swapcase(), token[::-1]):
        answer = serve().get("/", Cookie=f"review_session={changed}")
        assert answer.headers["location"] == "/sign-in"
    signed = page.post("/sign-in", {"name": NAME, "password": page.password})
    cookie = signed.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    # What the database holds lets nobody in.
    stored = rows(engine, "SELECT token_sha256 FROM review_session")
    assert token.encode() not in b"".join(bytes(row[0]) for row in stored)


def test_a_session_ends_when_it_is_ended_expires_or_its_reviewer_is_removed(
    page: Page, serve: Serve, engine: Engine
) -> None:
    other = serve().sign_in()
    assert other.post("/sign-out", {"csrf": other.csrf}).status_code == 303
    assert other.get("/").status_code == 303
    assert page.get("/").status_code == 200
    with engine.begin() as connection:
        connection.execute(text("UPDATE review_session SET expires_at = now()"))
    assert page.get("/").status_code == 303
    page.sign_in()
    with engine.begin() as connection:
        reviewers.remove(connection, NAME)
    assert page.get("/").status_code == 303
    answer = page.post("/sign-in", {"name": NAME, "password": page.password})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "origin", ["", "null", "https://evil.example", "http://127.0.0.1:1", "http://127.0.0.1"]
)
def test_a_form_from_elsewhere_changes_nothing(
    page: Page, engine: Engine, camera: int, origin: str
) -> None:
    form = page.ballot(camera, "camera", "accept")
    for path in (*_FORMS, "/sign-in"):
        assert page.post(path, form, Origin=origin).status_code == 403
    assert _votes(engine) == 0
    assert page.get("/").status_code == 200
    assert page.post("/vote", form).status_code == 303  # it was the origin


def test_a_form_without_this_sessions_token_changes_nothing(
    page: Page, serve: Serve, engine: Engine, camera: int
) -> None:
    form = page.ballot(camera, "camera", "accept")
    del form["csrf"]
    foreign = serve().sign_in().csrf
    for token in (foreign, "", "é", "0" * 64, page.csrf.upper()):
        for path in _FORMS:
            assert page.post(path, form | {"csrf": token}).status_code == 403
    assert page.post("/vote", form).status_code == 403
    assert _votes(engine) == 0
    assert page.get("/").status_code == 200


def test_a_name_that_dns_points_here_is_not_ours(page: Page) -> None:
    port = urlsplit(page.url).port
    for host in (f"evil.example:{port}", "127.0.0.1", "localhost", "", f"127.0.0.1:{port}:1"):
        assert page.get("/sign-in", Host=host).status_code == 421
    assert page.get("/sign-in", Host=f"localhost:{port}").status_code == 200


def test_other_methods_do_nothing(page: Page) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = page.http.request(
            method, page.url + "/vote", headers={"Origin": page.url}, timeout=60
        )
        assert answer.status_code == 405
    assert page.get("/vote").status_code == 405


_HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7919 * 7919 }}{% raw %}",
    "</title></textarea><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "\u202eevil\u2066",
)


class _Elements(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self.places: list[str] = []  #: that something leads to or comes from
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.handlers.append(f"{tag} {name}")
            if name in {"href", "src", "action", "formaction", "srcset", "data", "xlink:href"}:
                self.places.append(value or "")
        if tag == "script":
            self.scripts.append((dict(attrs).get("src") or "").partition("?")[0])

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("word", _HOSTILE)
def test_what_a_seller_writes_is_shown_and_never_code(
    page: Page, engine: Engine, settings: Settings, word: str
) -> None:
    id_ = listing(
        engine,
        settings,
        f"L {word}",
        [0.6, 0.1],
        title=word,
        seller_tags=[word],
        photos=[f"http://origin.test/{urlencode({'q': word})}.jpg"],
    )
    flag(engine, id_, 0.9, subject=word, reason=word, kind=word)
    page.vote(id_, "camera", "accept")
    page.vote(id_, word, "accept", subject_kind=word)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO tag (name) VALUES (:word)"), {"word": word.lower()})
    page.vote(id_, word, "accept")
    asked = urlencode({"tag": word, "kind": word, "where": word, "photo": word, "model": word})
    paths = ("/", f"/?{asked}", f"/listing/{id_}", f"/listing/{id_}?{asked}", "/precision")
    for path in paths:
        answer = page.get(path)
        assert answer.status_code == 200, path
        body = answer.text
        found = _Elements(body)
        assert found.scripts == ["/static/review.js"]
        assert not found.handlers
        assert all(place.startswith(("/", "#")) for place in found.places), found.places
        assert not any(place.startswith("//") for place in found.places)
        assert "\u202e" not in found.text
        assert "62710561" not in body
        assert fields(body)["csrf"] == page.csrf
    assert page.get(f"/precision?{asked}").status_code == 404


def test_every_answer_forbids_what_the_page_does_not_need(page: Page, camera: int) -> None:
    paths = ("/", f"/listing/{camera}", "/photo/1", "/static/review.js", "/no", "/sign-in")
    for path in paths:
        headers = page.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers
    for path in ("/", f"/listing/{camera}", "/precision", "/sign-in"):
        assert page.get(path).headers["cache-control"] == "no-store"
        shown = page.get(path).text
        assert not re.search(r"<(script|style)(?![^>]* src=)[^>]*>[^<]", shown)
        assert " style=" not in shown


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"listing=1&" * 10_000, 413),
        (b"a=1&" * 21, 400),
        (b"csrf=\xff\xfe", 400),
        (b"csrf=%ff%fe", 400),
        (b"", 403),
    ],
)
def test_forms_that_no_browser_posts_are_refused(page: Page, body: bytes, status: int) -> None:
    assert page.post("/vote", body).status_code == status
    assert page.post("/vote", body, Content_Type="multipart/form-data").status_code == 415


def test_a_form_that_drips_is_given_up(serve: Serve) -> None:
    page = serve(body_deadline_s=0.5)
    parts = urlsplit(page.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60) as client:
        client.sendall(
            f"POST /sign-in HTTP/1.1\r\nHost: {parts.netloc}\r\nOrigin: {page.url}\r\n".encode()
            + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n"
        )
        answer = http.client.HTTPResponse(client)
        answer.begin()
    assert answer.status == 408


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../etc/passwd",
        "/static/..%2f..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/review.css/../app.py",
        "/static//etc/passwd",
        "/static/review.css%00",
        "/templates/base.html",
        "/photo/../sign-in",
    ],
)
def test_a_path_leads_to_no_other_file(page: Page, path: str) -> None:
    parts = urlsplit(page.url)
    client = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    # By requests, the paths would be made plain before they are sent.
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in page.http.cookies)
    client.request("GET", path, headers={"Cookie": cookies})
    answer = client.getresponse()
    assert answer.status == 404
    assert b"<h1>Nothing is here</h1>" in answer.read()
    client.close()


def test_strangers_who_try_passwords_keep_nobody_out(serve: Serve) -> None:
    page = serve()
    for name in (NAME, "nobody"):
        for _ in range(100):
            form = {"name": name, "password": secrets.token_hex(4)}
            assert page.post("/sign-in", form).status_code == 401
    assert page.sign_in().get("/").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/?key=flagged:1e-300:1",
        "/next?key=flagged:-1e-46:1",
        "/previous?key=flagged:1e-46:1",
        "/?key=uncertain:1e-300:1",
        "/precision?model=%00",
        "/?tag=%00&kind=%00",
    ],
)
def test_odd_questions_are_none(page: Page, camera: int, path: str) -> None:
    assert camera
    assert page.get(path).status_code in {200, 303}


def test_no_redirect_leads_elsewhere(page: Page, camera: int) -> None:
    form = {"at": "0", "key": "//evil.example", "tag": "//evil.example", "where": "//evil.example"}
    for answer in (
        page.vote(camera, "camera", "accept", **form),
        page.get("/next?tag=//evil.example"),
        page.get("/previous?key=//evil.example"),
        page.get("//evil.example/"),
    ):
        location = answer.headers.get("location", "/")
        assert location.startswith("/")
        assert not location.startswith("//")
