"""Rows to distinct products with clean category paths, and their vocabulary of tags."""

import functools
import json
from collections import Counter
from collections.abc import Callable, Collection

import numpy as np
from duckdb import DuckDBPyConnection

from shared.domain.vocabulary import clean_segment, needed_products, paper_tokens
from worker.dataset.categories import parse_value, read_categories
from worker.dataset.database import one_row
from worker.dataset.findings import Findings
from worker.dataset.vocabulary_file import FixedVocabulary

_BATCH = 10_000
_PRODUCTS_JOINED = 50_000
#: Clean segments that are kept at hand; the published catalogues have a few thousand.
_SEGMENTS_AT_HAND = 1 << 16

_DUPLICATES = """
CREATE TEMP TABLE duplicate AS
SELECT row_number FROM (
    SELECT row_number, row_number() OVER (PARTITION BY content, product ORDER BY row_number) AS nth
    FROM catalogue_row
    WHERE product IN (SELECT product FROM catalogue_row GROUP BY product HAVING count(*) > 1)
) WHERE nth > 1
"""

# Most products have one row. The categories of those with several are joined.
_PRODUCTS = """
CREATE TABLE product AS
SELECT row_number() OVER () AS product_id, product, min(row_number) AS row_number,
    min(category_id) AS category_id, max(category_id) AS other_category_id
FROM catalogue_row GROUP BY product;

CREATE TEMP TABLE several AS
SELECT DISTINCT product_id, catalogue_row.category_id
FROM catalogue_row JOIN product USING (product)
WHERE product.category_id <> other_category_id;

CREATE TEMP TABLE joined (product_id BIGINT, joined_id UBIGINT, paths VARCHAR[][], tags VARCHAR[]);
"""

_JOIN_SOME = """
INSERT INTO joined
SELECT product_id,
    md5_number_lower(string_agg(category_id::VARCHAR, ',' ORDER BY category_id)),
    list_sort(list_distinct(flatten(list(paths)))),
    list_sort(list_distinct(flatten(list(tags))))
FROM several JOIN category USING (category_id)
WHERE product_id > $after AND product_id <= $after + $products GROUP BY product_id
"""

_USE_JOINED = """
INSERT INTO category SELECT joined_id, any_value(paths), any_value(tags) FROM joined
WHERE joined_id NOT IN (SELECT category_id FROM category) GROUP BY joined_id;

UPDATE product SET category_id = joined_id FROM joined WHERE joined.product_id = product.product_id;

DROP TABLE several; DROP TABLE joined;
"""

_TAG_COUNTS = """
CREATE TABLE tag AS
WITH carried AS (SELECT category_id, count(*) AS products FROM product GROUP BY category_id),
named AS (SELECT category_id, unnest(tags) AS tag FROM category)
SELECT tag, sum(products)::BIGINT AS products FROM named JOIN carried USING (category_id)
GROUP BY tag
"""

_USE_TAGS = """
CREATE TABLE labelled_category AS
SELECT category_id, paths, list_sort(list_intersect(tags, $tags::VARCHAR[])) AS tags FROM category
"""


def merge_rows(
    connection: DuckDBPyConnection,
    findings: Findings,
    *,
    fixed: FixedVocabulary | None,
    paper_faithful: bool,
    located: Callable[[int], str],
) -> int:
    """Makes the tables `category` (paths, candidate tags) and `product` out of `catalogue_row`.

    Args:
        connection: holds `catalogue_row`, which loses its duplicates.
        findings: where the balance goes.
        fixed: its aliases are applied.
        paper_faithful: whether candidate tags are the notebooks' tokens.
        located: a row number to the file and line it came from.

    Returns:
        The number of distinct products.
    """
    [rows] = one_row(connection, "SELECT count(*) FROM catalogue_row")
    connection.execute(_DUPLICATES)
    duplicates, first = one_row(connection, "SELECT count(*), min(row_number) FROM duplicate")
    if duplicates:
        findings.met("duplicate_row", duplicates, located(first))
        connection.execute(
            "DELETE FROM catalogue_row WHERE row_number IN (SELECT row_number FROM duplicate)"
        )
    _categories(connection, findings, fixed, located, paper_faithful=paper_faithful)
    connection.execute(_PRODUCTS)
    [products] = one_row(connection, "SELECT count(*) FROM product")
    # Piece by piece, since lists that are being gathered cannot go to disk.
    for after in range(0, products, _PRODUCTS_JOINED):
        connection.execute(_JOIN_SOME, {"after": after, "products": _PRODUCTS_JOINED})
    connection.execute(_USE_JOINED)
    repeated = rows - duplicates - products
    if repeated:
        [again] = one_row(
            connection,
            "SELECT min(row_number) FROM catalogue_row"
            " WHERE row_number NOT IN (SELECT row_number FROM product)",
        )
        findings.met("repeated_product", repeated, located(again))
    dropped = {"duplicate_row": duplicates, "repeated_product": repeated}
    findings.step(
        "distinct products", "rows to products", came_in=rows, kept=products, dropped=dropped
    )
    return products


def choose_tags(
    connection: DuckDBPyConnection,
    findings: Findings,
    *,
    fixed: FixedVocabulary | None,
    share: float,
    stop_tags: Collection[str],
    products: int,
) -> dict[str, int]:
    """Makes the table `labelled_category`, whose tags are those of the vocabulary.

    Args:
        connection: holds `product` and `category`.
        findings: where the balance goes.
        fixed: the vocabulary, where it was given; its tags are kept whatever their share.
        share: otherwise, a tag is kept that this share of the products carries, 0..1.
        stop_tags: and that is none of these.
        products: the number of distinct products.

    Returns:
        tag -> number of distinct products that carry it.
    """
    connection.execute(_TAG_COUNTS)
    [candidates] = one_row(connection, "SELECT count(*) FROM tag")
    dropped: dict[str, int] = {}
    if fixed is not None:
        query = "SELECT tag, products FROM tag WHERE list_contains($tags::VARCHAR[], tag)"
        found = dict(connection.execute(query, {"tags": list(fixed.tags)}).fetchall())
        chosen: dict[str, int] = {tag: found.get(tag, 0) for tag in fixed.tags}
        dropped["not in the vocabulary"] = candidates - len(found)
        added = {"in the vocabulary, but carried by no product": len(chosen) - len(found)}
    else:
        query = "SELECT tag, products FROM tag WHERE products >= $needed"
        frequent = connection.execute(query, {"needed": needed_products(products, share)})
        found = dict(frequent.fetchall())
        chosen = {tag: count for tag, count in found.items() if tag not in stop_tags}
        dropped["stop tag"] = len(found) - len(chosen)
        dropped["below the minimum share"] = candidates - len(found)
        added = {}
    connection.execute(_USE_TAGS, {"tags": list(chosen)})
    findings.step(
        "vocabulary", "tags", came_in=candidates, kept=len(chosen), dropped=dropped, added=added
    )
    return chosen


def _categories(
    connection: DuckDBPyConnection,
    findings: Findings,
    fixed: FixedVocabulary | None,
    located: Callable[[int], str],
    *,
    paper_faithful: bool,
) -> None:
    """Reads each distinct category value once, however many rows have it."""
    connection.execute(
        "CREATE TABLE category (category_id UBIGINT, paths VARCHAR[][], tags VARCHAR[])"
    )
    clean = functools.lru_cache(_SEGMENTS_AT_HAND)(clean_segment)
    counts: Counter[str] = Counter()
    first: dict[str, tuple[int, str]] = {}
    # A cursor of its own: inserting in between would end the reading one's result.
    reading = connection.cursor().execute("""
        SELECT category_id, any_value(category), count(*), min(row_number)
        FROM catalogue_row GROUP BY category_id
    """)
    while batch := reading.fetchmany(_BATCH):
        ids: list[int] = []
        paths: list[str] = []
        tags: list[str] = []
        for category_id, text, rows, row_number in batch:
            categories = read_categories(text, clean)
            for kind in categories.dirt:
                counts[kind] += rows
                first[kind] = min(first.get(kind, (row_number, text)), (row_number, text))
            if paper_faithful:
                names = paper_tokens(_printable(text))
            else:
                names = [segment for path in categories.paths for segment in path]
            if fixed is not None:
                names = [tag for name in names for tag in fixed.tags_of(name)]
            ids.append(category_id)
            paths.append(json.dumps(categories.paths))
            tags.append(json.dumps(list(dict.fromkeys(names))))
        _insert(connection, ids, paths, tags)
    for kind, count in sorted(counts.items()):
        row_number, text = first[kind]
        findings.met(kind, count, f"{located(row_number)}: {text}")


def _insert(
    connection: DuckDBPyConnection, ids: list[int], paths: list[str], tags: list[str]
) -> None:
    columns = {
        "id": np.array(ids, np.uint64),
        "paths": np.array(paths, object),
        "tags": np.array(tags, object),
    }
    connection.register("read", columns)
    connection.execute("""
        INSERT INTO category
        SELECT id, from_json(paths, '[["VARCHAR"]]'), from_json(tags, '["VARCHAR"]')
        FROM read
    """)
    connection.unregister("read")


def _printable(text: str) -> object:
    """The value that the notebooks printed; nothing for one that is no category."""
    value = parse_value(text)
    return "" if value is None or isinstance(value, (dict, int, float)) else value
