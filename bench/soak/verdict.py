"""Whether a soak lost or doubled anything, asked of the database itself."""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2

_QUESTIONS = {
    "photos": "SELECT count(*) FROM photo",
    "tagged": "SELECT count(*) FROM photo WHERE status = 'tagged'",
    "failed": "SELECT count(*) FROM photo WHERE status = 'failed'",
    "leases left": "SELECT count(*) FROM photo WHERE (lease_until, token) IS NOT NULL",
    "crashed once": "SELECT count(*) FROM photo WHERE crashes > 0",
    "documents": "SELECT count(*) FROM search_feed",
    "documents doubled": "SELECT count(*) - count(DISTINCT listing_id) FROM search_feed",
    "gaps in the feed": "SELECT coalesce(max(position), 0) - count(*) FROM search_feed",
    "photo files with two sets of tags": """
        SELECT count(*) FROM (
            SELECT split_part(url, '?', 1) FROM (
                SELECT url, (SELECT array_agg((tag_id, score) ORDER BY rank) FROM photo_tag
                    WHERE photo_id = photo.id) AS tags
                FROM photo WHERE status = 'tagged') AS seen
            GROUP BY 1 HAVING count(DISTINCT tags) > 1) AS differing
    """,
}
_FAILURES = "SELECT error_code, count(*) FROM photo WHERE status = 'failed' GROUP BY 1"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tables hold after a soak."""

    published: int
    found: dict[str, int]
    failures: dict[str, int]  #: failed photos by error code

    @property
    def lost(self) -> int:
        """Photos of recorded events without a final row."""
        return self.published - self.found["tagged"] - self.found["failed"]

    @property
    def doubled(self) -> int:
        """Documents that were published twice, and photos beyond those published."""
        return self.found["documents doubled"] + max(0, self.found["photos"] - self.published)

    @property
    def good(self) -> bool:
        """Nothing lost, nothing doubled, no gap, no lease, the same tags for the same photo."""
        zeros = ("leases left", "gaps in the feed", "photo files with two sets of tags", "failed")
        return not (self.lost or self.doubled or any(self.found[name] for name in zeros))


def judge(database_url: str, published: int) -> Verdict:
    """Asks the database; takes a while on millions of rows."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:

        def ask(question: str) -> list[tuple[Any, ...]]:
            cursor.execute(question)
            return cursor.fetchall()

        return Verdict(
            published,
            {name: int(ask(question)[0][0]) for name, question in _QUESTIONS.items()},
            dict(ask(_FAILURES)),
        )
