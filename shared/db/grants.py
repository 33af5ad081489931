"""Gives the roles of `shared.db.roles` their privileges, and says which they have."""

from collections.abc import Iterable

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from shared.db.roles import PRIVILEGES, RELATIONS, VERBS, Role, grants, statements
from shared.db.session import in_words
from shared.errors import SetupError

#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_NOT_ALLOWED = "42501"


def make(engine: Engine) -> None:
    """Makes the roles and gives them their privileges, in one transaction.

    Raises:
        SetupError: the user of the engine may not.
    """
    try:
        with engine.begin() as connection:
            _execute(connection, statements(_present(connection)))
    except ProgrammingError as error:
        if getattr(error.orig, "pgcode", None) != _NOT_ALLOWED:
            raise
        raise SetupError(
            f"{in_words(error)}; this takes the database's owner with CREATEROLE, or a superuser, "
            "who may also run what `tagger roles --sql` prints: tagger roles --sql | psql DATABASE"
        ) from None


def made(connection: Connection) -> bool:
    """Whether `tagger roles` was ever run for this database."""
    return connection.execute(
        text("""
            SELECT EXISTS (
                SELECT FROM pg_namespace, aclexplode(nspacl)
                JOIN pg_roles ON pg_roles.oid = grantee
                WHERE nspname = 'public' AND rolname = :migrator AND privilege_type = 'CREATE')
        """),
        {"migrator": Role.MIGRATOR},
    ).scalar_one()


def become_migrator(connection: Connection) -> None:
    """Lets the migrator own what this transaction makes, whichever of its members makes it.

    Someone who is no member stays who he is, and may change nothing of the migrator's.
    """
    member = text("SELECT pg_has_role(:migrator, 'USAGE')")
    if connection.execute(member, {"migrator": Role.MIGRATOR}).scalar_one():
        connection.execute(text(f"SET LOCAL ROLE {Role.MIGRATOR}"))


def renew(connection: Connection) -> None:
    """Gives the roles their privileges on the tables as these are; for the tables' owner."""
    _execute(connection, grants(_present(connection)))


def allowed(connection: Connection) -> dict[str, dict[Role, tuple[str, ...]]]:
    """The verbs that each role may use on each table, as Postgres says it."""
    found = connection.execute(
        text("""
            SELECT name, role, verb FROM unnest(CAST(:tables AS text[])) AS name,
                unnest(CAST(:roles AS text[])) AS role,
                unnest(CAST(:verbs AS text[])) WITH ORDINALITY AS verbs(verb, place)
            WHERE has_table_privilege(role, 'public.' || quote_ident(name), verb) ORDER BY place
        """),
        {
            "tables": sorted(_present(connection) & PRIVILEGES.keys()),
            "roles": [*Role],
            "verbs": [*VERBS],
        },
    ).all()
    return {
        table: {
            role: tuple(row.verb for row in found if (row.name, row.role) == (table, role))
            for role in Role
        }
        for table in PRIVILEGES
    }


def _present(connection: Connection) -> set[str]:
    """Those of our relations that the database has."""
    return {
        *connection.execute(
            text("""
                SELECT relname FROM pg_class
                WHERE relnamespace = 'public'::regnamespace AND relname = ANY(:names)
            """),
            {"names": [*RELATIONS]},
        ).scalars()
    }


def _execute(connection: Connection, wanted: Iterable[str]) -> None:
    for statement in wanted:
        connection.execute(text(statement))
