"""Due photos in any number, made inside Postgres, and how its tables stand."""

from typing import Any, Final

from psycopg2.extensions import connection as Connection  # noqa: N812  # a type's name

from bench.running import rows

_CHUNK: Final = 50_000
#: Photos that became due at the same moment: those of one transaction of `tagger produce`.
_AT_ONCE: Final = 500
_TABLES: Final = ("listing", "photo")


def fill(connection: Connection, photos: int, origin: str, files: int) -> None:
    """Makes so many listings of one due photo each; ids from 1 on, in the order they became due.

    Args:
        connection: to a fresh database; commits each statement.
        photos: how many.
        origin: where they are, without a slash at its end.
        files: how many different files it has; each is asked for many times, by URLs of its own.
    """
    with connection.cursor() as cursor:
        for first in range(1, photos + 1, _CHUNK):
            span = {"first": first, "last": min(first + _CHUNK - 1, photos)}
            cursor.execute(
                """
                INSERT INTO listing (external_id, title, seller_tags, occurred_at, event_id)
                SELECT 'listing-' || lpad(n::text, 7, '0'), 'Item ' || n, '{bargain}', now(),
                    'e-' || n
                FROM generate_series(%(first)s, %(last)s) AS n ORDER BY n
                """,
                span,
            )
            cursor.execute(
                """
                INSERT INTO photo (listing_id, position, url, url_sha256, due_at)
                SELECT id, 0, url, sha256(url::bytea),
                    date_trunc('day', now()) - interval '1 day'
                        + id / %(at_once)s * interval '1 ms'
                FROM listing, LATERAL (
                    SELECT %(origin)s || '/' || id %% %(files)s || '?copy=' || id / %(files)s
                ) AS its(url)
                WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id
                """,
                {**span, "origin": origin, "files": files, "at_once": _AT_ONCE},
            )


def vacuum(connection: Connection) -> None:
    """What autovacuum does within minutes after so many rows have come."""
    with connection.cursor() as cursor:
        # Else the rows just made would be counted a second time, on top of what VACUUM finds.
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(f"VACUUM (ANALYZE) {', '.join(_TABLES)}")
        cursor.execute("CHECKPOINT")


def table_facts(connection: Connection) -> list[dict[str, Any]]:
    """Of each table and index: bytes; of tables also dead rows and what autovacuum did to them.

    The counts of rows are the server's own estimates.
    """
    names = ("name", "bytes", "live", "dead", "autovacuums", "autoanalyzes")
    found = rows(
        connection,
        """
        SELECT relname, pg_table_size(relid), n_live_tup, n_dead_tup, autovacuum_count,
            autoanalyze_count
        FROM pg_stat_user_tables WHERE relname = ANY(%(tables)s)
        UNION ALL
        SELECT indexrelname, pg_relation_size(indexrelid), NULL, NULL, NULL, NULL
        FROM pg_stat_user_indexes WHERE relname = ANY(%(tables)s)
        ORDER BY 1
        """,
        {"tables": list(_TABLES)},
    )
    return [dict(zip(names, row, strict=True)) for row in found]


def due(connection: Connection) -> int:
    """How many photos wait to be rung for."""
    [(count,)] = rows(connection, "SELECT count(*) FROM photo WHERE status = 'pending'")
    return int(count)
