"""Signing in and out, and whether a form is meant by who is signed in."""

import hmac
from typing import Final

import structlog
from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from review import pages, reviewers
from review.reviewers import Session
from shared.settings import Settings

log = structlog.get_logger()

_COOKIE: Final = "review_session"
#: Longer cookies, names and passwords are not ours: no need to look.
_MAX_CHARACTERS: Final = 200


class Auth:
    """Lets reviewers in. Any thread may call it."""

    def __init__(self, engine: Engine, settings: Settings, *, secure: bool) -> None:
        """Lets nobody in yet.

        Args:
            engine: where reviewers and sessions are.
            settings: how long sessions last.
            secure: whether browsers come over TLS, and are to hand out the cookie to nobody else.
        """
        self._engine = engine
        self._lasts_s = settings.review_session_s
        self._secure = secure
        #: Its name. With this prefix no other host of the domain can set it (RFC 6265bis, 4.1.3).
        self.cookie = f"__Host-{_COOKIE}" if secure else _COOKIE

    def session(self, cookie: str | None) -> Session | None:
        """Who is signed in."""
        if not cookie or len(cookie) > _MAX_CHARACTERS:
            return None
        with self._engine.connect() as connection:
            return reviewers.session_of(connection, cookie)

    @staticmethod
    def check(session: Session, form: dict[str, str]) -> None:
        """Whether the form comes from a page of this session.

        Raises:
            HTTPException: 403.
        """
        given = form.get("csrf", "").encode(errors="replace")
        if not hmac.compare_digest(given, session.csrf.encode()):
            raise HTTPException(403, "The form is from another session: go back and load it again.")

    @staticmethod
    def page(status: int = 200, said: str = "", name: str = "") -> Response:
        """Where people sign in."""
        return pages.page("sign_in.html", status, said=said, name=name, session=None)

    def sign_in(self, form: dict[str, str]) -> Response:
        """A new session for the right name and password."""
        name, password = form.get("name", "").strip(), form.get("password", "").strip()
        if not name or len(name) > _MAX_CHARACTERS or len(password) > _MAX_CHARACTERS:
            return self.page(401, "That is no reviewer's name and password.")
        with self._engine.begin() as connection:
            session = reviewers.sign_in(connection, name, password, for_s=self._lasts_s)
        if session is None:
            log.warning("review.refused")
            return self.page(401, "That is no reviewer's name and password.", name)
        log.info("review.signed_in", reviewer=session.reviewer_id)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self.cookie,
            session.token,
            max_age=self._lasts_s,
            httponly=True,
            samesite="strict",
            secure=self._secure,
        )
        return answer

    def sign_out(self, _form: dict[str, str], session: Session) -> Response:
        """Ends the session, here and in the browser."""
        with self._engine.begin() as connection:
            reviewers.sign_out(connection, session)
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(self.cookie, httponly=True, samesite="strict", secure=self._secure)
        return answer
