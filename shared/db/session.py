"""Connections to Postgres: bounded in time, dead peers noticed, rollback by default."""

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.db.deadline import Deadline
from shared.errors import SetupError, TaggerError
from shared.settings import Settings

#: The names are libpq's; the server's begin with `tcp_`. Seconds, seconds and a number.
_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_NO_SUCH_TABLE_OR_COLUMN = ("42P01", "42703")


#: What the database raises, and the pool of its connections, which SQLAlchemy keeps apart.
DATABASE_ERRORS = (DBAPIError, PoolTimeout)


def in_words(error: DBAPIError | PoolTimeout) -> str:
    """What a person should read instead of a database error's traceback."""
    if isinstance(error, PoolTimeout):
        return "no connection became free in time"
    if getattr(error.orig, "pgcode", None) in _NO_SUCH_TABLE_OR_COLUMN:
        return "the database lacks this version's schema; run `tagger migrate`"
    lines = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
    return f"Postgres: {lines[0]}"


def worded(error: TaggerError | DBAPIError) -> str:
    """What ends a command, as one line: a code, and what a person should read."""
    if isinstance(error, DBAPIError):
        return f"database_error: {in_words(error)}"
    return f"{error.code}: {error}"


def sqlalchemy_url(raw: str) -> URL:
    """A Postgres URL as SQLAlchemy wants it, with our driver; `postgres://` is accepted too.

    Raises:
        SetupError: it is not the URL of a Postgres database. The URL is not in the message.
    """
    try:
        url = make_url(raw.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError):
        raise SetupError("DATABASE_URL is not a database URL") from None
    if "@" in (url.host or ""):
        raise SetupError("DATABASE_URL: an @ in its password must be written as %40")
    if url.get_backend_name() != "postgresql":
        raise SetupError("DATABASE_URL must start with postgresql://")
    return url.set(drivername="postgresql+psycopg2")


def make_engine(
    settings: Settings, *, role: str, connections: int = 5, silence_s: float | None = None
) -> Engine:
    """An engine for one process.

    Args:
        settings: where the server is, and how long it may take.
        role: shown as `application_name` in pg_stat_activity.
        connections: the most this process holds at once.
        silence_s: how long a statement may go without any answer from the server, before the
            connection counts as lost; `settings.silence_s` by default.
    """
    timeouts_s = {
        "statement_timeout": settings.statement_timeout_s,
        "lock_timeout": settings.lock_timeout_s,
        "idle_in_transaction_session_timeout": settings.statement_timeout_s,
        # Of what was sent and never acknowledged, keep-alives know nothing.
        "tcp_user_timeout": settings.statement_timeout_s,
    }
    server_side = {name: round(seconds * 1000) for name, seconds in timeouts_s.items()}
    # The server, too, must notice: it would keep the locks of a machine that is gone.
    server_side |= {f"tcp_{name}": value for name, value in _KEEPALIVES.items()}
    options = " ".join(f"-c {name}={value}" for name, value in server_side.items())
    return create_engine(
        sqlalchemy_url(settings.database_url.get_secret_value()),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=settings.statement_timeout_s,
        pool_pre_ping=True,
        # Errors end up in logs; what sellers wrote does not.
        hide_parameters=True,
        connect_args={
            "connection_factory": Deadline(silence_s or settings.silence_s).connect,
            "connect_timeout": settings.connect_timeout_s,
            "application_name": f"tagger {role}",
            "options": options,
            # A machine that vanished without a word is noticed within half a minute.
            **_KEEPALIVES,
            "tcp_user_timeout": round(settings.statement_timeout_s * 1000),
        },
    )
