"""Brings a database to a version of the schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from shared.db.retry import retrying


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; there is no ini file."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def upgrade(engine: Engine, revision: str = "head", *, patience_s: float = 120) -> str:
    """Migrates up to `revision` and returns the revision the database is then at.

    Args:
        engine: the database.
        revision: where to.
        patience_s: how long it is tried again, each time from the start, while others hold locks.
    """

    def once() -> str:
        with engine.connect() as connection:
            command.upgrade(config(connection), revision)
            connection.commit()
            return current(connection)

    return retrying(once, for_s=patience_s)


def downgrade(engine: Engine, revision: str) -> str:
    """Migrates down to `revision` and returns the revision the database is then at."""
    with engine.connect() as connection:
        command.downgrade(config(connection), revision)
        connection.commit()
        return current(connection)


def current(connection: Connection) -> str:
    """The revision of the database; "" when it has none."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def head() -> str:
    """The newest revision in the code."""
    return ScriptDirectory.from_config(config()).get_current_head() or ""
