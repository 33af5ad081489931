"""What the paper's notebooks did to data, beside what is right, so that both can be counted."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

import numpy as np

from shared.domain.vocabulary import STOP_TAGS, clean_segment
from worker.judging.filings import Filing
from worker.judging.notebook_related import notebook_tokens

#: How Amazon marks a thumbnail with a play button drawn over it, in metadata and in reviews.
VIDEO_MARKS: Final = ("PKdp-play-icon-overlay", "PKmb-play-button-overlay")
#: The large set: five catalogue photos and two user photos a product.
CATALOGUE, USER = 5, 2


def notebook_keeps(url: str) -> bool:
    """Whether the notebooks take the URL for a photo: holds `.jpg`, and nowhere `play`."""
    return ".jpg" in url and "play" not in url


def is_photo(url: str) -> bool:
    """Whether the URL's path ends as a JPEG's does and carries none of the marks of a video."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return False
    return path.lower().endswith((".jpg", ".jpeg")) and not any(
        mark in path for mark in VIDEO_MARKS
    )


def filed_under(filing: Filing, *, split_commas: bool) -> set[str]:
    """The cleaned segments and labels of a filing, without stop tags.

    Args:
        filing: a product's.
        split_commas: as the notebooks did, which take "Bags, Cases & Sleeves" for two tags.
    """
    segments = [clean_segment(segment) for path in filing.paths for segment in path]
    if split_commas:
        return {*notebook_tokens(segments), *filing.tags}
    return {*segments, *filing.tags} - STOP_TAGS - {""}


def frequent_tags(
    filings: Iterable[Filing],
    share: float,
    *,
    over: Literal["rows", "products"],
    split_commas: bool,
) -> tuple[list[str], int]:
    """The tags seen on a share of rows or products, sorted, and how many tags there are in all.

    Args:
        filings: a data set's.
        share: 0..1; the paper's are 0.05 and 0.005.
        over: what is counted: rows (photos here, reviews in the paper's similarity) or distinct
            products, as the notebooks' choice of tags.
        split_commas: see `filed_under`.
    """
    counts: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    products: set[str] = set()
    rows = 0
    for filing in filings:
        rows += filing.rows
        products.add(filing.product)
        for tag in filed_under(filing, split_commas=split_commas):
            if over == "rows":
                counts[tag] += filing.rows
            elif (filing.product, tag) not in seen:
                seen.add((filing.product, tag))
                counts[tag] += 1
    needed = round(share * (rows if over == "rows" else len(products)), 9)
    return sorted(tag for tag, count in counts.items() if count >= needed), len(counts)


def notebook_sample(
    catalogue: Sequence[str], users: Sequence[str], random: np.random.Generator
) -> tuple[list[str], list[str]]:
    """The large set's photos of a product: 5 catalogue photos, and 2 of users' with replacement.

    The notebook takes only products with more than 4 catalogue photos; here one that has fewer
    gives all it has.

    Returns:
        The catalogue photos, each once, and two user photos, which may be the same one twice;
        none of a product without any.
    """
    few = min(CATALOGUE, len(catalogue))
    drawn = [catalogue[int(at)] for at in random.choice(len(catalogue), few, replace=False)]
    if not users:
        return drawn, []
    return drawn, [users[int(at)] for at in random.integers(len(users), size=USER)]
