"""Who may review, and who is signed in: rows, so that both end when they are to."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from review.passwords import fits, hashed, new_password
from shared.errors import SetupError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


@dataclass(frozen=True, slots=True)
class Session:
    """A reviewer who is signed in."""

    reviewer_id: int
    name: str
    token: str  #: what the browser's cookie holds; stored only as its hash

    @property
    def csrf(self) -> str:
        """What each form must hold: nobody can make it who does not have the cookie."""
        return hmac.digest(self.token.encode(), b"csrf", "sha256").hex()


def add(connection: Connection, name: str) -> str:
    """Lets somebody review, and returns the password, which is stored nowhere.

    Raises:
        SetupError: the name is taken, or is none.
    """
    if not _NAME.fullmatch(name):
        raise SetupError("a reviewer's name is letters, digits and . _ @ + -, 64 at most")
    password = new_password()
    made = connection.execute(
        text("""
            INSERT INTO reviewer (name, password_sha256) VALUES (:name, :password_sha256)
            ON CONFLICT (name) DO UPDATE SET password_sha256 = excluded.password_sha256
            WHERE reviewer.password_sha256 IS NULL
        """),
        {"name": name, "password_sha256": hashed(password)},
    )
    if not made.rowcount:
        raise SetupError(
            f"{name} is a reviewer already; for a new password: tagger review remove {name}, then"
            " add again"
        )
    return password


def remove(connection: Connection, name: str) -> None:
    """Lets somebody review no longer, and ends their sessions; their votes stay.

    Raises:
        SetupError: there is no such reviewer.
    """
    id_ = connection.execute(
        text("""
            UPDATE reviewer SET password_sha256 = NULL
            WHERE name = :name AND password_sha256 IS NOT NULL
            RETURNING id
        """),
        {"name": name},
    ).scalar_one_or_none()
    if id_ is None:
        raise SetupError(f"no reviewer is called {name}")
    connection.execute(text("DELETE FROM review_session WHERE reviewer_id = :id"), {"id": id_})


def sign_in(connection: Connection, name: str, password: str, *, for_s: float) -> Session | None:
    """A new session; None where name and password do not fit."""
    # Locked, so that `remove` waits, and ends this session too.
    row = connection.execute(
        text("SELECT id, password_sha256 FROM reviewer WHERE name = :name FOR SHARE"),
        {"name": name},
    ).one_or_none()
    if row is None or not fits(password, row.password_sha256):
        return None
    token = secrets.token_urlsafe(32)
    connection.execute(text("DELETE FROM review_session WHERE expires_at < now()"))
    connection.execute(
        text("""
            INSERT INTO review_session (token_sha256, reviewer_id, expires_at)
            VALUES (:token, :id, now() + make_interval(secs => :for_s))
        """),
        {"token": _digest(token), "id": row.id, "for_s": for_s},
    )
    return Session(row.id, name, token)


def session_of(connection: Connection, token: str) -> Session | None:
    """Who is signed in with that cookie, if anybody is."""
    row = connection.execute(
        text("""
            SELECT reviewer.id, name FROM review_session
            JOIN reviewer ON reviewer.id = reviewer_id
            WHERE token_sha256 = :token AND expires_at > now()
                AND password_sha256 IS NOT NULL
        """),
        {"token": _digest(token)},
    ).one_or_none()
    return Session(row.id, row.name, token) if row else None


def sign_out(connection: Connection, session: Session) -> None:
    """Ends a session."""
    connection.execute(
        text("DELETE FROM review_session WHERE token_sha256 = :token"),
        {"token": _digest(session.token)},
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
