"""Runs the migrations on one connection, one migrator at a time, never stuck on a lock."""

from typing import cast

from alembic import context
from sqlalchemy import Connection, text

from shared.db import grants
from shared.db.tables import Table

#: Any number, the same for every migrator of this project.
_ADVISORY_LOCK = 7_206_315_049
#: Whoever wants a table queues behind a migration that waits for it: rather wait again.
_LOCK_TIMEOUT_MS = 1_000
_STATEMENT_TIMEOUT_MS = 60_000


def run() -> None:
    """Migrates over the connection that `migrations.run` hands in."""
    connection = cast("Connection", context.config.attributes["connection"])
    context.configure(connection=connection, target_metadata=Table.metadata)
    with context.begin_transaction():
        connection.execute(text(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}"))
        connection.execute(text(f"SET LOCAL statement_timeout = {_STATEMENT_TIMEOUT_MS}"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        if with_roles := grants.made(connection):
            grants.become_migrator(connection)
        context.run_migrations()
        if with_roles:
            grants.renew(connection)


run()
