"""What the paper's steps count on a data set: photos without tags, frequent tags, commas, URLs."""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from bench.sections import Section
from worker.dataset.labelled import LabelledPhoto
from worker.dataset.split import image_split, split
from worker.judging.filings import Filing
from worker.judging.paper import filed_under, frequent_tags, is_photo, notebook_keeps

SHARES = (0.05, 0.005)
_SHOWN = 8


def untagged(photos: Sequence[LabelledPhoto], seed: int) -> Section:
    """Photos that carry none of the tags, and so what always answering "no tag" scores."""
    parts = {
        "all photos": [True] * len(photos),
        "test, split by photo (the paper's)": [
            part == "test" for part in image_split(photos, seed)
        ],
        "test, split by product": [part == "test" for part in split(photos, seed)],
    }
    rows: list[list[Any]] = []
    for name, chosen in parts.items():
        among = [photo for photo, taken in zip(photos, chosen, strict=True) if taken]
        without = sum(not photo.tags for photo in among)
        share = without / len(among) if among else None
        rows.append([name, len(among), without, share])
    return Section(
        "Photos without tags",
        "Empty = empty scores 1, so the share of photos without tags is both the Hamming score and "
        "the exact match ratio of always answering 'no tag' (0.094 on the paper's large test set).",
        ["photos of", "photos", "without tags", "always empty scores"],
        rows,
    )


def tag_counts(filings: Sequence[Filing]) -> Section:
    """How many tags reach the paper's shares, by what is counted and how commas are read."""
    rows: list[list[Any]] = []
    for share in SHARES:
        for over in ("rows", "products"):
            for split_commas in (True, False):
                kept, distinct = frequent_tags(filings, share, over=over, split_commas=split_commas)
                commas = "split" if split_commas else "kept"
                rows.append([f"{share:.1%}", over, commas, distinct, len(kept)])
    return Section(
        "Frequent tags",
        "Tags seen on a share of the rows (a row is a photo here, a review in the paper's "
        "similarity) or of the distinct products (as the paper chose its 14 and 115 of 2,175).",
        ["share", "of", "commas", "distinct tags", "kept"],
        rows,
    )


def over_counted(filings: Sequence[Filing]) -> Section:
    """The tags whose share changes most when rows are counted and not products."""
    row_counts: Counter[str] = Counter()
    products: defaultdict[str, set[str]] = defaultdict(set)
    for filing in filings:
        for tag in filed_under(filing, split_commas=True):
            row_counts[tag] += filing.rows
            products[tag].add(filing.product)
    rows = sum(filing.rows for filing in filings)
    distinct = len({filing.product for filing in filings})
    shares = [(tag, row_counts[tag] / rows, len(products[tag]) / distinct) for tag in row_counts]
    shares.sort(key=lambda row: (-abs(row[1] - row[2]), row[0]))
    return Section(
        "What counting rows does to a tag's share",
        f"{rows:,} rows, {distinct:,} products; the {_SHOWN} tags whose share changes most.",
        ["tag", "of rows", "of products", "difference"],
        [[tag, of_rows, of_all, of_rows - of_all] for tag, of_rows, of_all in shares[:_SHOWN]],
    )


def commas(filings: Sequence[Filing]) -> Section:
    """What splitting the printed list at ", " does to segments that hold a comma."""
    products: defaultdict[str, set[str]] = defaultdict(set)
    for filing in filings:
        for tag in filed_under(filing, split_commas=False):
            if ", " in tag:
                products[tag].add(filing.product)
    by_count = sorted(products, key=lambda tag: (-len(products[tag]), tag))
    touched = len({product for its in products.values() for product in its})
    split_tags, whole_tags = (
        set(frequent_tags(filings, SHARES[-1], over="products", split_commas=split_commas)[0])
        for split_commas in (True, False)
    )
    return Section(
        "Segments that fall apart at a comma",
        f"{len(products)} segments on {touched:,} products; the {_SHOWN} on most. At "
        f"{SHARES[-1]:.1%}, {_quoted(whole_tags - split_tags)} go and "
        f"{_quoted(split_tags - whole_tags)} come.",
        ["segment", "products", "becomes"],
        [[tag, len(products[tag]), " + ".join(tag.split(", "))] for tag in by_count[:_SHOWN]],
    )


def urls(files: Sequence[Path]) -> Section:
    """What the notebooks' URL filter keeps, against one that looks at the path."""
    rows: list[list[Any]] = []
    for path in files:
        found: list[str] = []
        broken = 0
        for row in _rows(path):
            if row is None:
                broken += 1
            else:
                found += _urls(row)
        by_text = {url for url in found if notebook_keeps(url)}
        by_path = {url for url in found if is_photo(url)}
        rows.append(
            [
                path.name,
                broken,
                len(found),
                len(set(found)),
                len(by_text),
                len(by_path),
                len(by_text - by_path),
                len(by_path - by_text),
            ]
        )
    return Section(
        "URLs",
        "By text: holds `.jpg`, not `play`. By path: ends as a JPEG's, without a mark of a video. "
        "Distinct URLs, but for the third column.",
        [
            "file",
            "broken lines",
            "URLs",
            "distinct",
            "kept by text",
            "kept by path",
            "by text only",
            "by path only",
        ],
        rows,
    )


def _quoted(tags: set[str]) -> str:
    return ", ".join(f"`{tag}`" for tag in sorted(tags)) or "none"


def _rows(path: Path) -> Iterator[dict[str, Any] | None]:
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row: object = json.loads(line)
            except ValueError:
                yield None
                continue
            yield cast("dict[str, Any]", row) if isinstance(row, dict) else None


def _urls(row: dict[str, Any]) -> list[str]:
    found: object = row.get("imageURL", row.get("image"))
    if not isinstance(found, list):
        return []
    return [url for url in cast("list[object]", found) if isinstance(url, str)]
