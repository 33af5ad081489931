"""Logins of Postgres that live as long as a test."""

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from sqlalchemy import Engine, text

from shared.db.roles import Role
from shared.settings import Settings


@contextmanager
def login(engine: Engine, settings: Settings, *roles: Role, options: str = "") -> Generator[str]:
    """Makes a login that is a member of these roles; gives the URL of the test's database for it.

    Args:
        engine: of a superuser.
        settings: of the test's database.
        roles: that it is granted.
        options: further words for CREATE ROLE.
    """
    name, password = f"login_{secrets.token_hex(4)}", secrets.token_hex(16)
    groups = f"IN ROLE {', '.join(roles)}" if roles else ""
    with engine.begin() as connection:
        connection.execute(
            text(f"CREATE ROLE {name} LOGIN PASSWORD '{password}' {options} {groups}")
        )
    parts = urlsplit(settings.database_url.get_secret_value())
    address = parts.netloc.rpartition("@")[2]
    yield parts._replace(netloc=f"{name}:{password}@{address}").geturl()
    with engine.begin() as connection:
        connection.execute(text(f"REASSIGN OWNED BY {name} TO CURRENT_USER"))
        connection.execute(text(f"DROP OWNED BY {name}"))
        connection.execute(text(f"DROP ROLE {name}"))
