"""The index that is always there: full text and tags in Postgres."""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from shared.db.follow import Entry, Refusal
from shared.db.session import in_words

NAME: Final = "postgres"
#: What a word's weight says: where it comes from.
WEIGHTS: Final = {"tags": "A", "title": "B", "seller_tags": "C", "related_tags": "D"}
#: https://www.postgresql.org/docs/current/errcodes-appendix.html: more words than a row may hold.
_TOO_COMPLEX: Final = "54000"


class PostgresIndex:
    """`search_document`: a row a listing, with all its words weighted by where they come from."""

    def __init__(self, language: str) -> None:
        """`language` is a text search configuration of Postgres, such as `english`."""
        self._language = language

    @property
    def name(self) -> str:
        """What its cursor is kept under."""
        return NAME

    def prepare(self, connection: Connection) -> None:
        """Its tables came with a migration."""

    def apply(self, connection: Connection, entries: Sequence[Entry]) -> list[Refusal]:
        """Takes documents in. The cursor's lock keeps others, and older entries, away."""
        gone = [entry.listing_id for entry in entries if entry.document is None]
        if gone:
            connection.execute(
                text("DELETE FROM search_document WHERE listing_id = ANY(:ids)"), {"ids": gone}
            )
        return self._take(connection, [entry for entry in entries if entry.document is not None])

    def _take(self, connection: Connection, entries: Sequence[Entry]) -> list[Refusal]:
        """Halves what does not go in at once, down to the documents that are to blame."""
        if not entries:
            return []
        try:
            with connection.begin_nested():
                self._insert(connection, entries)
        except OperationalError as error:
            if getattr(error.orig, "pgcode", None) != _TOO_COMPLEX:
                raise
            if len(entries) == 1:
                return [Refusal(entries[0], in_words(error))]
            half = len(entries) // 2
            return self._take(connection, entries[:half]) + self._take(connection, entries[half:])
        return []

    def _insert(self, connection: Connection, entries: Sequence[Entry]) -> None:
        rows = [
            _row(entry.listing_id, entry.doc_version, entry.document)
            for entry in entries
            if entry.document is not None
        ]
        connection.execute(
            text("""
                INSERT INTO search_document (
                    listing_id, doc_version, occurred_at, title, tags, seller_tags,
                    related_tags, words)
                SELECT listing_id, doc_version, occurred_at, title, tags, seller_tags,
                    related_tags,
                    setweight(to_tsvector(CAST(:language AS regconfig),
                        array_to_string(tags, ' . ')), 'A')
                    || setweight(to_tsvector(CAST(:language AS regconfig), title), 'B')
                    || setweight(to_tsvector(CAST(:language AS regconfig),
                        array_to_string(seller_tags, ' . ')), 'C')
                    || setweight(to_tsvector(CAST(:language AS regconfig),
                        array_to_string(related_tags, ' . ')), 'D')
                FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new(
                    listing_id text, doc_version bigint, occurred_at timestamptz,
                    title text, tags text[], seller_tags text[], related_tags text[])
                ON CONFLICT (listing_id) DO UPDATE SET
                    doc_version = excluded.doc_version,
                    occurred_at = excluded.occurred_at, title = excluded.title,
                    tags = excluded.tags, seller_tags = excluded.seller_tags,
                    related_tags = excluded.related_tags,
                    words = excluded.words, indexed_at = now()
            """),
            {"language": self._language, "rows": orjson.dumps(rows).decode()},
        )


def _row(listing_id: str, version: int, document: dict[str, Any]) -> dict[str, Any]:
    return {
        "listing_id": listing_id,
        "doc_version": version,
        "occurred_at": document["occurred_at"],
        "title": document["title"],
        "tags": [item["tag"] for item in document["tags"]],
        "seller_tags": document["seller_tags"],
        "related_tags": [item["tag"] for item in document["related_tags"]],
    }
