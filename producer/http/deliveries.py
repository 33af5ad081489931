"""Signed requests whose events were recorded: each webhook-id of a key stands for one content."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

_PURGED_AT_ONCE = 10_000


def take(connection: Connection, contents: Mapping[str, bytes], window_s: float) -> set[str]:
    """Notes messages' names with what came under them (SHA-256); until the commit nobody else can.

    Returns:
        Those that may be recorded: new, seen with the same content, or seen long ago.
    """
    taken = connection.execute(
        text("""
            INSERT INTO webhook_delivery (webhook_id, content_sha256)
            SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:contents AS bytea[]))
                AS new(id, content)
            ORDER BY id COLLATE "C"
            ON CONFLICT (webhook_id) DO UPDATE SET
                content_sha256 = excluded.content_sha256, seen_at = now()
            WHERE webhook_delivery.content_sha256 = excluded.content_sha256
                OR webhook_delivery.seen_at < now() - make_interval(secs => :window_s)
            RETURNING webhook_id
        """),
        {"ids": [*contents], "contents": [*contents.values()], "window_s": window_s},
    ).scalars()
    return set(taken)


def purge(connection: Connection, window_s: float) -> int:
    """Deletes what cannot be replayed any more, some at a time; returns how many."""
    return connection.execute(
        text("""
            DELETE FROM webhook_delivery WHERE webhook_id IN (
                SELECT webhook_id FROM webhook_delivery
                WHERE seen_at < now() - make_interval(secs => :window_s)
                LIMIT :most FOR UPDATE SKIP LOCKED)
        """),
        {"window_s": window_s, "most": _PURGED_AT_ONCE},
    ).rowcount
