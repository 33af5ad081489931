"""The migrations make what the models declare, and each can be taken back."""

from collections.abc import Generator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from migrations import run
from shared.db.session import make_engine
from shared.db.tables import Table
from shared.settings import Settings

#: Every column, constraint, index, sequence and storage option, as Postgres itself words them.
_CATALOGUE = """
    SELECT 'column', c.table_name, c.column_name, concat_ws(' ', c.data_type, c.udt_name,
        c.is_nullable, c.column_default, c.is_identity, c.collation_name,
        col_description(format('%I', c.table_name)::regclass, c.ordinal_position))
    FROM information_schema.columns c
    WHERE c.table_schema = 'public' AND c.table_name <> 'alembic_version'
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        AND conrelid::regclass::text <> 'alembic_version'
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    UNION ALL
    SELECT 'sequence', sequencename, data_type::text, increment_by::text
    FROM pg_sequences WHERE schemaname = 'public'
    UNION ALL
    SELECT 'option', oid::regclass::text, option, '' FROM pg_class, unnest(reloptions) AS option
    WHERE relnamespace = 'public'::regnamespace
    ORDER BY 1, 2, 3
"""


@pytest.fixture
def empty_engine(empty_database: Settings) -> Generator[Engine]:
    """An engine on a database without tables."""
    engine = make_engine(empty_database, role="test")
    yield engine
    engine.dispose()


def _catalogue(connection: Connection) -> list[tuple[str, ...]]:
    return [tuple(row) for row in connection.execute(text(_CATALOGUE))]


def test_the_migrations_make_exactly_what_the_models_declare(empty_engine: Engine) -> None:
    run.upgrade(empty_engine)
    with empty_engine.connect() as connection:
        migrated = _catalogue(connection)
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []
    run.downgrade(empty_engine, "base")
    with empty_engine.begin() as connection:
        Table.metadata.create_all(connection)
        declared = _catalogue(connection)
    assert len(declared) > 100
    assert migrated == declared


def test_every_migration_goes_down_and_up_again(empty_engine: Engine) -> None:
    revisions = [
        script.revision
        for script in reversed([*ScriptDirectory.from_config(run.config()).walk_revisions()])
    ]
    before: list[list[tuple[str, ...]]] = []
    for revision in revisions:
        with empty_engine.connect() as connection:
            before.append(_catalogue(connection))
        assert run.upgrade(empty_engine, revision) == revision
    for revision, catalogue in zip(reversed(revisions), reversed(before), strict=True):
        run.downgrade(empty_engine, f"{revision}-1" if revision != revisions[0] else "base")
        with empty_engine.connect() as connection:
            assert _catalogue(connection) == catalogue
    assert run.upgrade(empty_engine) == run.head()


def test_a_second_migrator_waits_for_the_first_and_gives_up_in_time(
    empty_engine: Engine,
) -> None:
    with empty_engine.begin() as other:
        other.execute(text("SELECT pg_advisory_xact_lock(7206315049)"))
        with pytest.raises(OperationalError, match="lock timeout"):
            run.upgrade(empty_engine, patience_s=2)
    assert run.upgrade(empty_engine) == run.head()
