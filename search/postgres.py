"""The index that is always there: full text and tags in Postgres."""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection, text

from shared.db.follow import Entry, Refusal

NAME: Final = "postgres"
#: What a word's weight says: where it comes from.
WEIGHTS: Final = {"tags": "A", "title": "B", "seller_tags": "C", "related_tags": "D"}


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
        rows = [
            _row(entry.listing_id, entry.doc_version, entry.document)
            for entry in entries
            if entry.document is not None
        ]
        if rows:
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
        return []


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
