"""So many photos of each product, drawn by a hash or with replacement like the paper."""

from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from worker.dataset.database import one_row
from worker.dataset.findings import Findings


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many photos of a product are taken."""

    catalogue: int
    user: int
    min_catalogue: int  #: products with fewer catalogue photos are left out
    seed: int
    drop_empty_categories: bool = False
    paper_faithful: bool = False


_WANTED = """
CREATE TABLE wanted AS
WITH counted AS (
    SELECT product_id, count(*) FILTER (source = 0) AS catalogue,
        count(*) FILTER (source = 1) AS users
    FROM photo GROUP BY product_id
)
SELECT product_id, coalesce(catalogue, 0) AS catalogue, coalesce(users, 0) AS users, CASE
    WHEN $drop_empty AND len(paths) = 0 THEN 'without a category'
    WHEN coalesce(catalogue, 0) < $min_catalogue THEN 'too few catalogue photos'
    WHEN $faithful AND coalesce(users, 0) = 0 THEN 'without a user photo'
    WHEN coalesce(catalogue, 0) + coalesce(users, 0) = 0 THEN 'without a photo'
END AS reason
FROM product JOIN labelled_category USING (category_id) LEFT JOIN counted USING (product_id)
"""

# The order within a product comes from a hash of seed, product and URL, so that it is the same
# whatever the order of rows, and a product's photos do not depend on the other products.
_RANKED = """
CREATE TABLE ranked AS
SELECT product_id, url, source, position, row_number() OVER (
    PARTITION BY product_id, source
    ORDER BY md5_number_lower(concat_ws(chr(10), $seed::VARCHAR, product, url)), url
) AS nth
FROM photo JOIN wanted USING (product_id) JOIN product USING (product_id)
WHERE wanted.reason IS NULL
"""

_SAMPLED = """
CREATE TABLE sampled AS
SELECT product_id, url, source, position, 0 AS draw FROM ranked
WHERE nth <= CASE source WHEN 0 THEN $catalogue ELSE $user END
"""

# The notebooks draw user photos with replacement: the same photo may come several times.
_SAMPLED_WITH_REPLACEMENT = """
CREATE TABLE sampled AS
WITH drawn AS (
    SELECT product_id, 1 + (
        md5_number_lower(concat_ws(chr(10), $seed::VARCHAR, product, draw::VARCHAR)) % users
    )::BIGINT AS nth
    FROM wanted JOIN product USING (product_id), range($user) AS draws(draw)
    WHERE wanted.reason IS NULL
)
SELECT product_id, url, source, position, 0 AS draw FROM ranked
WHERE source = 0 AND nth <= $catalogue
UNION ALL
SELECT product_id, url, source, position,
    row_number() OVER (PARTITION BY product_id, url) - 1
FROM ranked JOIN drawn USING (product_id, nth) WHERE source = 1
"""


def sample_photos(connection: DuckDBPyConnection, findings: Findings, sampling: Sampling) -> None:
    """Makes the table `sampled` out of `photo`.

    Without `paper_faithful`, up to so many photos of each source, without replacement. With it,
    as the notebooks: catalogue photos without, user photos with replacement, and only products
    that have both, since their merge kept no others.
    """
    connection.execute(
        _WANTED,
        {
            "drop_empty": sampling.drop_empty_categories,
            "min_catalogue": sampling.min_catalogue,
            "faithful": sampling.paper_faithful,
        },
    )
    query = "SELECT reason, count(*) FROM wanted WHERE reason IS NOT NULL GROUP BY reason"
    dropped: dict[str, int] = dict(connection.execute(query).fetchall())
    [products, photos, left_out] = one_row(
        connection,
        "SELECT count(*), coalesce(sum(catalogue + users), 0)::BIGINT,"
        " coalesce(sum(catalogue + users) FILTER (reason IS NOT NULL), 0)::BIGINT FROM wanted",
    )
    [kept] = one_row(connection, "SELECT count(*) FROM wanted WHERE reason IS NULL")
    findings.step(
        "products with photos enough", "products", came_in=products, kept=kept, dropped=dropped
    )
    connection.execute(_RANKED, {"seed": sampling.seed})
    connection.execute(
        _SAMPLED_WITH_REPLACEMENT if sampling.paper_faithful else _SAMPLED,
        {"catalogue": sampling.catalogue, "user": sampling.user}
        | ({"seed": sampling.seed} if sampling.paper_faithful else {}),
    )
    _balance(connection, findings, photos, left_out)


def _balance(
    connection: DuckDBPyConnection, findings: Findings, photos: int, left_out: int
) -> None:
    query = "SELECT count(*) FILTER (source = 0), count(*) FILTER (source = 1) FROM ranked"
    catalogue, user = one_row(connection, query)
    kept_catalogue, kept_user, again, kept = one_row(
        connection,
        "SELECT count(*) FILTER (source = 0 AND draw = 0),"
        " count(*) FILTER (source = 1 AND draw = 0), count(*) FILTER (draw > 0), count(*)"
        " FROM sampled",
    )
    dropped = {
        "of products left out": left_out,
        "catalogue photos not sampled": catalogue - kept_catalogue,
        "user photos not sampled": user - kept_user,
    }
    added = {"drawn again": again}
    findings.step(
        "sampled photos", "photos", came_in=photos, kept=kept, dropped=dropped, added=added
    )
