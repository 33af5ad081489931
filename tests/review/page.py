"""A review page in this process, on a real socket, and flags to look at."""

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser

import requests
from sqlalchemy import Engine, text

from dev.origin import Origin
from review.app import CONNECTIONS
from review.server import listen, make_server, origins_of
from shared.db.session import make_engine
from shared.settings import Settings
from tests.waiting import wait_until

NAME = "kim"


@dataclass
class Page:
    """The page as somebody's browser sees it."""

    url: str
    password: str
    http: requests.Session

    def get(self, path: str, **headers: str) -> requests.Response:
        """GETs, following nothing."""
        return self.http.get(self.url + path, headers=headers, allow_redirects=False, timeout=60)

    def post(self, path: str, form: Mapping[str, str] | bytes, **headers: str) -> requests.Response:
        """Posts a form as a page of this server would; headers change that."""
        given = {"Origin": self.url, **{name.replace("_", "-"): h for name, h in headers.items()}}
        return self.http.post(
            self.url + path,
            data=form,
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                **{name: value for name, value in given.items() if value},
            },
            allow_redirects=False,
            timeout=60,
        )

    def sign_in(self) -> "Page":
        """Signs in as the reviewer."""
        answer = self.post("/sign-in", {"name": NAME, "password": self.password})
        assert answer.status_code == 303, answer.text
        return self

    @property
    def csrf(self) -> str:
        """The token that the page's forms hold."""
        return fields(self.get("/").text)["csrf"]

    def ballot(self, listing: int, subject: str, verdict: str) -> dict[str, str]:
        """The form of a vote on a tag, for the photos that the listing has."""
        return {
            "csrf": self.csrf,
            "shown": fields(self.get(f"/listing/{listing}").text).get("shown", ""),
            "listing": str(listing),
            "subject_kind": "tag",
            "subject": subject,
            "verdict": verdict,
        }

    def vote(self, listing: int, subject: str, verdict: str, **more: str) -> requests.Response:
        """Votes on a tag, or on a flag of the kind given as `subject_kind`."""
        return self.post("/vote", self.ballot(listing, subject, verdict) | more)


Serve = Callable[..., Page]


@contextmanager
def running(settings: Settings) -> Generator[str]:
    """The URL of a page, for as long as it is needed."""
    engine = make_engine(settings, role="review", connections=CONNECTIONS)
    listener = listen(settings, "127.0.0.1", 0)
    server = make_server(settings, engine, origins_of(settings, listener))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    assert thread.is_alive()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()
    engine.dispose()


def may_fetch(origin: Origin) -> dict[str, object]:
    """Settings of a page that may fetch from the origin."""
    port = int(origin.url.rpartition(":")[2])
    return {"allow_private_hosts": True, "allowed_ports": frozenset({port})}


def flag(
    engine: Engine,
    listing_id: int,
    score: float,
    *,
    kind: str = "spam",
    subject: str = "bargain",
    reason: str = "The photos show a camera.",
) -> None:
    """Flags a listing."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO listing_flag (listing_id, kind, subject, score, reason)
                VALUES (:id, :kind, :subject, :score, :reason)
            """),
            {"id": listing_id, "kind": kind, "subject": subject, "score": score, "reason": reason},
        )


def fields(html: str) -> dict[str, str]:
    """The values of a page's inputs, by name; of several with one name, the last."""
    found: dict[str, str] = {}

    class Inputs(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            if tag == "input" and given.get("name"):
                found[given["name"] or ""] = given.get("value") or ""

    Inputs().feed(html)
    return found
