"""Who may do what: five roles of Postgres, and what the processes of each need of every table.

None of them logs in. A login is made by an operator and granted one of them:

    CREATE ROLE shop_worker LOGIN IN ROLE tagger_worker;

Roles belong to the whole cluster and privileges to one database, so that this is no migration:
`tagger roles` makes both, and each `tagger migrate` after it brings the privileges up to date
(`shared.db.grants`). Which command works under which role stands in docs/security.md.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """A group of logins."""

    PRODUCER = "tagger_producer"  #: takes events in, queues photos, follows the feed
    WORKER = "tagger_worker"  #: tags photos; changes models and thresholds
    ANALYST = "tagger_analyst"  #: reads all but secrets
    REVIEWER = "tagger_reviewer"  #: votes, and keeps the accounts of those who do
    MIGRATOR = "tagger_migrator"  #: owns the tables


_VERBS: Final = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE"}
VERBS: Final = tuple(_VERBS.values())

#: By their first letters. What goes away with a row by ON DELETE CASCADE needs no privilege.
_TABLES: Final = {
    # table            producer  worker  analyst  reviewer
    "listing":         ("SIU",   "SU",   "S",    "S"),
    "photo":           ("SIUD",  "SU",   "S",    "S"),
    "photo_tag":       ("",      "SID",  "S",    ""),
    "listing_tag":     ("SID",   "SID",  "S",    "S"),
    "related_tag":     ("SID",   "SID",  "S",    ""),
    "listing_flag":    ("SIUD",  "S",    "S",    "S"),
    "photo_fingerprint": ("SID", "",    "S",    ""),
    "listing_fingerprint": ("SIUD", "", "S",    ""),
    "tag":             ("S",     "SIU",  "S",    "S"),
    "model":           ("S",     "SIU",  "S",    "S"),
    "decision":        ("S",     "SIU",  "S",    "S"),
    "promotion":       ("",      "SI",   "S",    ""),
    "shadow_score":    ("",      "SIU",  "S",    ""),
    "training_run":    ("SU",    "SIU",  "S",    ""),
    "search_feed":     ("SID",   "SI",   "S",    ""),
    "feed_head":       ("SU",    "SU",   "S",    ""),
    "search_document": ("SIUD",  "",     "S",    ""),
    "feed_cursor":     ("SIUD",  "",     "S",    ""),
    "feed_refusal":    ("SIUD",  "",     "S",    ""),
    # Lines as a marketplace sent them: whose words a listing's are, these are too, and the
    # people who ask why something was rejected are analysts.
    "rejected_event":  ("SIUD",  "",     "S",    ""),
    "webhook_delivery": ("SIUD", "",    "S",    ""),
    # Hashes of passwords and of what browsers are known by are nobody's to read.
    "reviewer":        ("",      "",     "",     "SIU"),
    "review_session":  ("",      "",     "",     "SID"),
    "vote":            ("",      "",     "S",    "SIUD"),
    "alembic_version": ("",      "",     "S",    ""),
}  # fmt: skip
#: A number for each claim. Columns that count by themselves need no privilege on their sequence.
_SEQUENCES: Final = {"fencing_token": Role.WORKER}

_GRANTEES: Final = (Role.PRODUCER, Role.WORKER, Role.ANALYST, Role.REVIEWER)
#: Each relation, with the verbs that each role may use on it; the migrator owns them all.
PRIVILEGES: Final = {
    table: {
        role: tuple(_VERBS[letter] for letter in letters)
        for role, letters in zip(_GRANTEES, row, strict=True)
    }
    for table, row in _TABLES.items()
}
RELATIONS: Final = frozenset({*PRIVILEGES, *_SEQUENCES})


def statements(present: Collection[str] = RELATIONS) -> list[str]:
    """The SQL that makes the roles and gives them their privileges; repeating it changes nothing.

    Args:
        present: the relations that the database has.
    """
    everybody = ", ".join(_GRANTEES)
    return [
        *(_make(role) for role in Role),
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA public TO {everybody}",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {Role.MIGRATOR}",
        _own(sorted(present)),
        # The view of a later version can be read by analysts as soon as it is there.
        (
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {Role.MIGRATOR} IN SCHEMA public "
            f"GRANT SELECT ON TABLES TO {Role.ANALYST}"
        ),
        *grants(present),
    ]


def grants(present: Collection[str] = RELATIONS) -> list[str]:
    """The part of `statements` that the tables' owner may run, without any other right."""
    everybody = ", ".join(_GRANTEES)
    made: list[str] = []
    for table, by_role in PRIVILEGES.items():
        if table in present:
            made.append(f"REVOKE ALL ON TABLE public.{table} FROM PUBLIC, {everybody}")
            made += [
                f"GRANT {', '.join(verbs)} ON TABLE public.{table} TO {role}"
                for role, verbs in by_role.items()
                if verbs
            ]
    for sequence, role in _SEQUENCES.items():
        if sequence in present:
            made.append(f"REVOKE ALL ON SEQUENCE public.{sequence} FROM PUBLIC, {everybody}")
            made.append(f"GRANT USAGE ON SEQUENCE public.{sequence} TO {role}")
    return made


def _make(role: Role) -> str:
    return f"""\
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} NOLOGIN;
    END IF;
END $$"""


def _own(relations: list[str]) -> str:
    """Hands relations over; who owned them before may still do all that an owner may."""
    names = ", ".join(f"'{name}'" for name in relations)
    return f"""\
DO $$ DECLARE former record; BEGIN
    IF NOT pg_has_role('{Role.MIGRATOR}', 'USAGE') THEN
        GRANT {Role.MIGRATOR} TO CURRENT_USER;
    END IF;
    FOR former IN
        SELECT relname, rolname, rolsuper FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
        WHERE relnamespace = 'public'::regnamespace AND rolname <> '{Role.MIGRATOR}'
            AND relname = ANY (ARRAY[{names}]::text[])
    LOOP
        IF NOT former.rolsuper AND NOT pg_has_role(former.rolname, '{Role.MIGRATOR}', 'USAGE') THEN
            EXECUTE 'GRANT {Role.MIGRATOR} TO ' || quote_ident(former.rolname);
        END IF;
        EXECUTE 'ALTER TABLE public.' || quote_ident(former.relname) || ' OWNER TO {Role.MIGRATOR}';
    END LOOP;
END $$"""  # noqa: S608  # our own names
