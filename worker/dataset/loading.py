"""Rows of catalogues and reviews into DuckDB, block by block, counting what cannot be used."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from duckdb import DuckDBPyConnection

from worker.dataset.findings import Findings
from worker.dataset.formats import Form, Source
from worker.dataset.lines import Block

#: Rows get 2^40 numbers a file, so that a row's number tells its file and line.
ROWS_PER_FILE = 1 << 40

_TABLES = """
CREATE TABLE catalogue_row (
    row_number BIGINT, product VARCHAR, category_id UBIGINT, category VARCHAR,
    catalogue VARCHAR[], users VARCHAR[], content UHUGEINT
);
CREATE TABLE review_row (row_number BIGINT, product VARCHAR, users VARCHAR[]);

-- The 2023 form has several sizes of a photo: about 500 pixels of a catalogue photo and 800 of
-- a user's are enough to train on.
CREATE MACRO size_of(image) AS coalesce(
    nullif(image->>'$.large', ''), nullif(image->>'$.hi_res', ''), nullif(image->>'$.thumb', ''),
    nullif(image->>'$.medium_image_url', ''), nullif(image->>'$.large_image_url', ''),
    nullif(image->>'$.small_image_url', '')
);
CREATE MACRO url_of(image) AS CASE json_type(image)
    WHEN 'VARCHAR' THEN image->>'$' WHEN 'OBJECT' THEN size_of(image) END;
CREATE MACRO as_list(text) AS CASE
    WHEN json_valid(text) THEN text
    WHEN json_valid(replace(text, '''', '"')) THEN replace(text, '''', '"') ELSE '[null]' END;
CREATE MACRO is_printed_list(image) AS coalesce(
    json_type(image) = 'VARCHAR' AND starts_with(ltrim(image->>'$'), '['), false);
-- 2023 in the form of Hugging Face: {"large": [...], "thumb": [...]} instead of a list.
CREATE MACRO zipped(image) AS [
    coalesce(
        nullif(json_extract_string(image, '$.large[' || i || ']'), ''),
        nullif(json_extract_string(image, '$.hi_res[' || i || ']'), ''),
        nullif(json_extract_string(image, '$.thumb[' || i || ']'), ''),
        nullif(json_extract_string(image, '$.medium_image_url[' || i || ']'), ''),
        nullif(json_extract_string(image, '$.large_image_url[' || i || ']'), ''),
        nullif(json_extract_string(image, '$.small_image_url[' || i || ']'), '')
    )
    FOR i IN range(coalesce(greatest(
        json_array_length(image, '$.large'), json_array_length(image, '$.hi_res'),
        json_array_length(image, '$.thumb'), json_array_length(image, '$.medium_image_url'),
        json_array_length(image, '$.large_image_url'), json_array_length(image, '$.small_image_url')
    ), 0)::BIGINT)
];
CREATE MACRO has_lists(image) AS list_contains(
    json_type(image, ['$.large', '$.hi_res', '$.thumb', '$.medium_image_url', '$.large_image_url',
        '$.small_image_url']), 'ARRAY');
CREATE MACRO urls_of(image) AS CASE
    WHEN image IS NULL THEN []::VARCHAR[]
    WHEN json_type(image) = 'ARRAY' THEN [url_of(x) FOR x IN from_json(image, '["JSON"]')]
    WHEN is_printed_list(image) THEN [
        url_of(x) FOR x IN from_json(
            CASE WHEN json_type(as_list(image->>'$')) = 'ARRAY' THEN as_list(image->>'$')
            ELSE '[null]' END, '["JSON"]')
    ]
    WHEN json_type(image) = 'VARCHAR' THEN [image->>'$']
    WHEN json_type(image) = 'OBJECT' AND has_lists(image) THEN zipped(image)
    WHEN json_type(image) = 'OBJECT' THEN [size_of(image)]
    ELSE [NULL]::VARCHAR[] END;
CREATE MACRO first_of(found) AS
    list_filter(found, lambda x: x IS NOT NULL AND x::VARCHAR <> 'null')[1];
"""

_PARSE = """
CREATE OR REPLACE TEMP TABLE parsed AS
WITH checked AS (SELECT number, line, json_valid(line) AS valid FROM block),
kinds AS (
    SELECT *, CASE WHEN valid THEN json_type(line) END AS kind,
        CASE WHEN valid THEN line ELSE '{}' END AS safe
    FROM checked
),
-- One call for all paths, since each call parses the line.
extracted AS (
    SELECT number, left(line, 200) AS beginning, valid, kind, json_extract(safe, $paths) AS found
    FROM kinds
),
found AS (
    SELECT number, beginning, valid, kind,
        first_of(found[:$product]) AS product_value,
        first_of(found[$product + 1:$categories]) AS category_value,
        first_of(found[$categories + 1:$catalogue]) AS catalogue_value,
        first_of(found[$catalogue + 1:]) AS user_value
    FROM extracted
),
named AS (
    SELECT *, trim(CASE json_type(product_value) WHEN 'VARCHAR' THEN product_value->>'$'
        WHEN 'UBIGINT' THEN product_value::VARCHAR END) AS product
    FROM found
)
SELECT number, beginning,
    CASE WHEN NOT valid THEN 'broken_line'
        WHEN kind <> 'OBJECT' THEN 'not_an_object'
        WHEN product_value IS NULL OR product = '' THEN 'no_product'
        WHEN product IS NULL OR NOT regexp_full_match(product, '[^\\x00-\\x1f\\x7f]{1,200}')
            THEN 'bad_product'
    END AS reason,
    product, coalesce(category_value::VARCHAR, 'null') AS category,
    urls_of(catalogue_value) AS catalogue, urls_of(user_value) AS users,
    is_printed_list(catalogue_value) OR is_printed_list(user_value) AS stringified
FROM named
"""

_CATALOGUE = """
INSERT INTO catalogue_row
SELECT $first_row + number, product, md5_number_lower(category), category, catalogue, users,
    md5_number(concat_ws(chr(31), category, to_json(catalogue), to_json(users)))
FROM parsed WHERE reason IS NULL
"""
_REVIEWS = """
INSERT INTO review_row SELECT $first_row + number, product, users FROM parsed WHERE reason IS NULL
"""


class Loader:
    """Fills the tables `catalogue_row` and `review_row`; `file_of` tells a row's file."""

    def __init__(self, connection: DuckDBPyConnection, findings: Findings) -> None:
        """Makes the tables.

        Args:
            connection: an empty database.
            findings: where each file's balance goes.
        """
        self._connection = connection
        self._findings = findings
        connection.execute(_TABLES)
        connection.execute(f"CREATE MACRO file_of(row_number) AS row_number // {ROWS_PER_FILE}")

    def load(
        self, source: Source, file_number: int, *, reviews: bool, advance: Callable[[int], None]
    ) -> None:
        """Reads a file; its rows are numbered from `file_number * ROWS_PER_FILE` on.

        Raises:
            DatasetError: the file cannot be read.
        """
        read, kept = 0, 0
        dropped: Counter[str] = Counter()
        for block in source.blocks(advance):
            read += len(block.texts) + block.blank + len(block.rejected)
            dropped.update(self._count(block, source))
            if block.texts:
                reasons = self._parse(block, source)
                kept += len(block.texts) - reasons.total()
                dropped += reasons
                self._connection.execute(
                    _REVIEWS if reviews else _CATALOGUE,
                    {"first_row": file_number * ROWS_PER_FILE},
                )
        self._findings.step(
            f"{source.path.name}, {source.form.name}",
            "rows",
            came_in=read,
            kept=kept,
            dropped=dropped,
        )

    def _count(self, block: Block, source: Source) -> Counter[str]:
        """What never gets as far as the database."""
        for number, kind, beginning in block.rejected:
            self._findings.met(kind, 1, f"{source.path.name}:{number}: {beginning}")
        if block.blank:
            self._findings.met("blank_line", block.blank, source.path.name)
        if block.fault:
            self._findings.met(block.fault, 1, source.path.name)
        kinds = Counter(kind for _, kind, _ in block.rejected)
        kinds["blank_line"] = block.blank
        return kinds

    def _parse(self, block: Block, source: Source) -> Counter[str]:
        """Makes the table `parsed`, and counts the rows of it that are not used."""
        lines = {
            "number": np.array(block.numbers, np.int64),
            "line": np.array(block.texts, dtype=object),
        }
        self._connection.register("block", lines)
        self._connection.execute(_PARSE, _parameters(source.form))
        self._connection.unregister("block")
        name = source.path.name
        reasons: Counter[str] = Counter()
        for reason, count, example in self._ask("""
            SELECT reason, count(*), min_by(number || ': ' || beginning, number)
            FROM parsed WHERE reason IS NOT NULL GROUP BY reason ORDER BY min(number)
        """):
            reasons[reason] = count
            self._findings.met(reason, count, f"{name}:{example}")
        for count, example in self._ask("""
            SELECT count(*), min_by(number || ': ' || beginning, number)
            FROM parsed WHERE reason IS NULL AND stringified HAVING count(*) > 0
        """):
            self._findings.met("stringified_images", count, f"{name}:{example}")
        return reasons

    def _ask(self, query: str) -> Sequence[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()


def _parameters(form: Form) -> dict[str, object]:
    """All the form's paths, and where among them each field's end."""
    product = len(form.product)
    categories = product + len(form.categories)
    return {
        "paths": [*form.product, *form.categories, *form.catalogue, *form.user],
        "product": product,
        "categories": categories,
        "catalogue": categories + len(form.catalogue),
    }
