"""The published forms of catalogues and reviews, told apart by a file's first readable lines."""

import ast
import csv
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from shared.errors import DatasetError
from worker.dataset.categories import paths_in_text
from worker.dataset.lines import MAX_LINE_BYTES, Block, read_blocks

Role = Literal["metadata", "reviews", "products"]
Encoding = Literal["json", "python", "csv"]

_LINES_LOOKED_AT = 100
_CSV_BLOCK_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Form:
    """Where a row has what is read of it: JSON paths, the first that is there counts."""

    name: str
    product: tuple[str, ...]
    categories: tuple[str, ...] = ()
    catalogue: tuple[str, ...] = ()
    user: tuple[str, ...] = ()


#: https://nijianmo.github.io/amazon/ (2018), https://jmcauley.ucsd.edu/data/amazon/ (2014),
#: https://amazon-reviews-2023.github.io/ (2023: reviews of all variants share `parent_asin`).
AMAZON_2018 = Form("amazon 2018", ("$.asin",), ("$.category",), ("$.imageURL", "$.image"))
AMAZON_2014 = Form("amazon 2014", ("$.asin",), ("$.categories",), ("$.imUrl",))
AMAZON_2023 = Form("amazon 2023", ("$.parent_asin",), ("$.categories",), ("$.images",))
REVIEWS_2018 = Form("amazon 2018 reviews", ("$.asin",), user=("$.image",))
REVIEWS_2023 = Form("amazon 2023 reviews", ("$.parent_asin", "$.asin"), user=("$.images",))
PLAIN = Form("plain", ("$.product",), ("$.categories",), ("$.catalogue_urls",), ("$.user_urls",))

#: What only reviews have, and only metadata: a file given for the other would pass for it.
_REVIEWED = {"overall", "reviewerID", "unixReviewTime", "rating", "user_id", "helpful_vote"}
_DESCRIBED = {"category", "categories", "main_cat", "main_category", "imageURL", "imUrl"}
_PLAIN_COLUMNS = ("product", "categories", "catalogue_urls", "user_urls")


@dataclass(frozen=True, slots=True)
class Source:
    """A file whose form is known."""

    path: Path
    form: Form
    encoding: Encoding

    def blocks(self, advance: Callable[[int], None] = lambda _: None) -> Iterator[Block]:
        """The rows, one JSON text each; what cannot be made one is among the rejected.

        Raises:
            DatasetError: the file cannot be read.
        """
        blocks = read_blocks(self.path, advance=advance)
        if self.encoding == "python":
            return map(_json_of_literals, blocks)
        if self.encoding == "csv":
            return _json_of_csv(blocks)
        return blocks


def detect(path: Path, role: Role) -> Source:
    """The form of a file.

    Raises:
        DatasetError: none of its first lines can be read, they have nothing that is known, or
            what they have is another role's.
    """
    lines = _first_lines(path)
    if not lines:
        raise DatasetError(f"{path} has no line of text")
    encoding: Encoding = "json"
    rows = [row for line in lines if (row := _object(json.loads, line)) is not None]
    if not rows:
        encoding = "python"
        rows = [row for line in lines if (row := _object(_literal, line)) is not None]
    keys = {key for row in rows for key in row}
    if not rows and role == "products":
        encoding = "csv"
        header = _header(f"{line}\n" for line in lines)
        keys = set(header)
        if twice := sorted(name for name in _PLAIN_COLUMNS if header.count(name) > 1):
            raise DatasetError(f"{path} has several columns called {twice[0]!r}")
    if role == "metadata" and keys & _REVIEWED and not keys & _DESCRIBED:
        raise DatasetError(f"{path} holds reviews; give it as --reviews")
    if role == "reviews" and keys & _DESCRIBED and not keys & _REVIEWED:
        raise DatasetError(f"{path} holds metadata; give it as --metadata")
    form = _form(keys, role)
    if form is None:
        looked = f"none of the first {len(lines)} lines of {path}"
        if not keys:
            other = ", and the first is no CSV header" if role == "products" else ""
            raise DatasetError(f"{looked} is a row of JSON or Python literals{other}")
        raise DatasetError(f"{looked} has the keys of {role}; they have {_some(keys)}")
    return Source(path, form, encoding)


def _first_lines(path: Path) -> list[str]:
    lines: list[str] = []
    for block in read_blocks(path, block_bytes=1 << 20):
        lines += block.texts[: _LINES_LOOKED_AT - len(lines)]
        if len(lines) == _LINES_LOOKED_AT:
            break
    return lines


def _form(keys: set[str], role: Role) -> Form | None:
    if role == "products":
        urls = keys & {"catalogue_urls", "user_urls"}
        return PLAIN if "product" in keys and urls else None
    if "parent_asin" in keys:
        return AMAZON_2023 if role == "metadata" else REVIEWS_2023
    if "asin" not in keys:
        return None
    if role == "reviews":
        return REVIEWS_2018
    if keys & {"categories", "imUrl"} and not keys & {"category", "imageURL"}:
        return AMAZON_2014
    return AMAZON_2018


def _some(keys: set[str]) -> str:
    return ", ".join(repr(key[:40]) for key in sorted(keys)[:8])


def _literal(line: str) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "invalid escape sequence" in somebody's description
        return ast.literal_eval(line.strip())


def _object(parse: Callable[[str], object], line: str) -> dict[str, object] | None:
    try:
        row = parse(line)
    # RecursionError and MemoryError: how Python refuses what is nested too deeply.
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    if not isinstance(row, dict):
        return None
    cells = cast("dict[object, object]", row)
    return {key: value for key, value in cells.items() if isinstance(key, str)}


def _json_of_literals(block: Block) -> Block:
    """The 2014 form's lines, which are printed Python dictionaries, as JSON."""
    result = Block(blank=block.blank, rejected=block.rejected, fault=block.fault)
    for number, line in zip(block.numbers, block.texts, strict=True):
        row = _object(_literal, line)
        text = None if row is None else _dumped(row)
        if text is None:
            result.reject(number, "broken_line", line[:120].encode(errors="replace"))
        else:
            result.numbers.append(number)
            result.texts.append(text)
    return result


def _dumped(row: Mapping[str, object]) -> str | None:
    wanted = {path.removeprefix("$.") for path in (*_paths(AMAZON_2014), *_paths(AMAZON_2018))}
    wanted |= {path.removeprefix("$.") for path in (*_paths(AMAZON_2023), *_paths(REVIEWS_2023))}
    try:
        return json.dumps({key: value for key, value in row.items() if key in wanted})
    except (TypeError, ValueError, RecursionError):
        return None  # a set, bytes or a complex number


def _paths(form: Form) -> tuple[str, ...]:
    return (*form.product, *form.categories, *form.catalogue, *form.user)


def _header(lines: Iterable[str]) -> list[str]:
    """The names of a CSV's columns; none where its first row cannot be read."""
    try:
        return _names(next(csv.reader(lines, strict=True)))
    except (csv.Error, StopIteration):
        return []


def _names(cells: Iterable[str]) -> list[str]:
    return [cell.strip() for cell in cells]


def _json_of_csv(blocks: Iterator[Block]) -> Iterator[Block]:
    """Rows of the plain form's CSV as JSON; a quoted cell may go over several lines."""
    waiting = Block()  # takes what the lines' own block has besides lines
    taken: list[tuple[int, str]] = []  #: number and text of the lines of the row at hand

    def lines() -> Iterator[str]:
        for block in blocks:
            waiting.blank += block.blank
            waiting.rejected += block.rejected
            waiting.fault = waiting.fault or block.fault
            for line in zip(block.numbers, block.texts, strict=True):
                taken.append(line)
                yield f"{line[1]}\n"

    csv.field_size_limit(MAX_LINE_BYTES)
    # Strict, so that a quote that is never closed is an error, not the rest of the file in a cell.
    reader = csv.reader(lines(), strict=True)
    header = _names(next(reader))
    while True:
        taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error:
            cells = []
        if len(cells) == len(header):
            waiting.numbers.append(taken[0][0])
            waiting.texts.append(_plain_row(dict(zip(header, cells, strict=True))))
        else:
            # Each line that went into it may have been a row.
            for number, text in taken:
                waiting.reject(number, "broken_line", text[:120].encode())
        if len(waiting.numbers) + len(waiting.rejected) >= _CSV_BLOCK_ROWS:
            yield waiting
            waiting = Block()
    yield waiting


def _plain_row(cells: Mapping[str, str]) -> str:
    product, categories, catalogue, user = (cells.get(name, "") for name in _PLAIN_COLUMNS)
    row = {"product": product, "catalogue_urls": _urls(catalogue), "user_urls": _urls(user)}
    if categories.strip():
        paths, _ = paths_in_text(categories)
        # What cannot be read goes on as it is, to be counted with the others of its kind.
        row["categories"] = categories if paths is None else paths
    return json.dumps(row)


def _urls(cell: str) -> object:
    if cell.lstrip().startswith("["):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return [url.strip() for url in cell.split("|") if url.strip()]
