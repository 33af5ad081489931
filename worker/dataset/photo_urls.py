"""Photo URLs out of the lists of products and reviews: filtered, and each one once a product."""

from collections import Counter
from collections.abc import Callable

from duckdb import DuckDBPyConnection

from worker.dataset.database import one_row
from worker.dataset.findings import Findings

# RFC 3986, appendix B: what stands before `?` or `#` is the path. What the fetcher refuses
# anyway (whitespace, control characters, more than 2,048 characters) is told here already.
_ENTRIES = """
CREATE TABLE entry AS
WITH listed AS (
    SELECT product_id, catalogue_row.row_number, 0 AS source, unnest(catalogue) AS url,
        generate_subscripts(catalogue, 1) - 1 AS position
    FROM catalogue_row JOIN product USING (product)
    UNION ALL
    SELECT product_id, catalogue_row.row_number, 1, unnest(users), generate_subscripts(users, 1) - 1
    FROM catalogue_row JOIN product USING (product)
    UNION ALL
    SELECT product_id, review_row.row_number, 1, unnest(users), generate_subscripts(users, 1) - 1
    FROM review_row JOIN product USING (product)
),
taken_apart AS (
    SELECT *, lower(regexp_extract(url, '^[^?#]*')) AS address FROM listed
)
SELECT product_id, row_number, source, url, position, CASE
    WHEN url IS NULL THEN 'not_text'
    WHEN $paper_faithful THEN CASE
        WHEN NOT contains(url, '.jpg') THEN 'not_jpg'
        WHEN contains(url, 'play') THEN 'video_thumbnail' END
    WHEN length(url) > 2048 OR NOT regexp_full_match(address, 'https?://[^/\\s][^\\s\\x00-\\x1f\\x7f]*')
        OR regexp_matches(url, '[\\s\\x00-\\x1f\\x7f\\\\]') THEN 'bad_url'
    WHEN NOT regexp_matches(address, '^https?://[^/]+/.*\\.jpe?g$')
        AND file_of(row_number) <> $voted THEN 'not_jpg'
    WHEN regexp_matches(address, 'pk[a-z]{2}-play-[a-z]+-overlay') THEN 'video_thumbnail'
END AS reason
FROM taken_apart
"""

# A photo that a user shows too is the catalogue's.
_PHOTOS = """
CREATE TABLE photo AS
SELECT product_id, url, (first >> 32)::TINYINT AS source, (first & 4294967295)::INTEGER AS position
FROM (
    SELECT product_id, url, min((source::BIGINT << 32) + position) AS first
    FROM entry WHERE reason IS NULL GROUP BY product_id, url
)
"""


def list_photos(
    connection: DuckDBPyConnection,
    findings: Findings,
    *,
    paper_faithful: bool,
    voted: int | None = None,
    located: Callable[[int], str],
) -> None:
    """Makes the table `photo`: the distinct, usable URLs of the products.

    Args:
        connection: holds `product`, `catalogue_row` and `review_row`.
        findings: where the balance goes.
        paper_faithful: whether URLs are filtered as the notebooks did, by `.jpg` and `play`
            anywhere in them.
        voted: the number of the file whose photos were tagged in service, whatever their names.
        located: a row number to the file and line it came from.
    """
    _known_reviews(connection, findings, located)
    connection.execute(
        _ENTRIES, {"paper_faithful": paper_faithful, "voted": -1 if voted is None else voted}
    )
    dropped: Counter[str] = Counter()
    [entries] = one_row(connection, "SELECT count(*) FROM entry")
    for reason, count, row_number, url in connection.execute("""
        SELECT reason, count(*), min(row_number), min_by(url, row_number)
        FROM entry WHERE reason IS NOT NULL GROUP BY reason
    """).fetchall():
        dropped[reason] = count
        findings.met(reason, count, f"{located(row_number)}: {url or ''}")
    connection.execute(_PHOTOS)
    [photos] = one_row(connection, "SELECT count(*) FROM photo")
    if duplicates := entries - dropped.total() - photos:
        dropped["duplicate_url"] = duplicates
        row_number, url = one_row(
            connection,
            "SELECT max(row_number) AS again, url FROM entry WHERE reason IS NULL"
            " GROUP BY product_id, url HAVING count(*) > 1 ORDER BY again, url LIMIT 1",
        )
        findings.met("duplicate_url", duplicates, f"{located(row_number)}: {url}")
    findings.step("photo URLs", "image entries", came_in=entries, kept=photos, dropped=dropped)
    connection.execute("DROP TABLE entry; DROP TABLE catalogue_row; DROP TABLE review_row")


def _known_reviews(
    connection: DuckDBPyConnection, findings: Findings, located: Callable[[int], str]
) -> None:
    reviews, unknown, without, first = one_row(
        connection,
        """
        SELECT count(*), count(*) FILTER (product_id IS NULL),
            count(*) FILTER (product_id IS NOT NULL AND len(users) = 0),
            min(row_number) FILTER (product_id IS NULL)
        FROM (
            SELECT review_row.row_number, users, product_id
            FROM review_row LEFT JOIN product USING (product)
        )
        """,
    )
    if unknown:
        findings.met("unknown_product", unknown, located(first))
    if reviews:
        dropped = {"of unknown products": unknown, "without photos": without}
        [kept] = one_row(
            connection,
            "SELECT count(*) FROM review_row SEMI JOIN product USING (product)"
            " WHERE len(users) > 0",
        )
        findings.step("reviews merged", "reviews", came_in=reviews, kept=kept, dropped=dropped)
