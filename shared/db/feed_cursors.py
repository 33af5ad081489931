"""How far each follower of the feed has come, and who is at work."""

from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from shared.errors import IndexAway

#: For another follower's step to end; shorter than a statement may take.
_PATIENCE_S: Final = 25
#: https://www.postgresql.org/docs/current/errcodes-appendix.html: lock or statement time-out.
_WAITED_TOO_LONG: Final = ("55P03", "57014")


def begin(connection: Connection, name: str) -> None:
    """Makes the cursor of a projection that is new, at the first entry: tombstones wait for it."""
    connection.execute(
        text("INSERT INTO feed_cursor (name) VALUES (:name) ON CONFLICT DO NOTHING"),
        {"name": name},
    )


def rewind(connection: Connection, name: str) -> None:
    """Lets a projection begin again from the first entry; tombstones wait for it until then."""
    connection.execute(
        text("""
            INSERT INTO feed_cursor (name) VALUES (:name)
            ON CONFLICT (name) DO UPDATE SET position = 0, moved_at = now()
        """),
        {"name": name},
    )


def forget(connection: Connection, name: str) -> int | None:
    """Lets go of a projection that is kept up no more: tombstones no longer wait for it.

    Returns:
        Its position in the feed; None where nothing is known under that name.
    """
    connection.execute(text("DELETE FROM feed_refusal WHERE name = :name"), {"name": name})
    return connection.execute(
        text("DELETE FROM feed_cursor WHERE name = :name RETURNING position"), {"name": name}
    ).scalar()


def known(connection: Connection) -> list[str]:
    """What the feed is followed for, by name."""
    return list(connection.execute(text("SELECT name FROM feed_cursor ORDER BY name")).scalars())


def take(connection: Connection, name: str, *, wait: bool) -> int | None:
    """Where to go on, for this transaction alone; None while another one has it.

    Raises:
        IndexAway: it had it for too long for one who waits.
    """
    if not wait:
        return connection.execute(
            text("SELECT position FROM feed_cursor WHERE name = :name FOR UPDATE SKIP LOCKED"),
            {"name": name},
        ).scalar()
    connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE_S}s'"))
    try:
        return connection.execute(
            text("SELECT position FROM feed_cursor WHERE name = :name FOR UPDATE"), {"name": name}
        ).scalar()
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) in _WAITED_TOO_LONG:
            raise IndexAway(f"{name}: another process is at it, and does not let go") from None
        raise


def move(connection: Connection, name: str, position: int) -> None:
    """Goes on behind an entry."""
    connection.execute(
        text("""
            UPDATE feed_cursor SET position = :position, moved_at = now() WHERE name = :name
        """),
        {"name": name, "position": position},
    )
