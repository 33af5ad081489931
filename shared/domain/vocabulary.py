"""Category paths to tags: cleaning their segments, and keeping the frequent ones."""

import html
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

#: Said of every product of the main category, so it tells none from another (the paper's).
STOP_TAGS = frozenset({"electronics"})

_HTML_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
_GLUE = re.compile(
    r"(?<=[a-z0-9]{2})(?=[A-Z])"  # Networking|Devices, but iPhone stays
    r"|(?<=[A-Z])(?=[A-Z][a-z]{2})"  # USB|Cables, but DVDs stays
)
_GLUED_AND = re.compile(r"(?<=\w)&(?=[A-Z][a-z])")
_PRINTED_LIST = str.maketrans("", "", "[]'")
_GLUED_COMMA = re.compile(r",(?=[A-Za-z])")


def canonical(tag: str) -> str:
    """A tag as it is compared with others: in lower case, its words apart by single spaces."""
    return " ".join(tag.lower().split())


def clean_segment(segment: str) -> str:
    """One segment of a category path as a tag: lower-case words, single spaces.

    HTML entities are resolved and elements removed (both occur in the published metadata).
    Segments without any space, as some sets have them, are taken apart: "NetworkingDevices" is
    "networking devices" and "HomeTheater,TV&Video" is "home theater, tv & video".

    Returns:
        The tag; empty where nothing is left.
    """
    text = _HTML_TAG.sub(" ", html.unescape(segment))
    text = "".join(char if char.isprintable() else " " for char in text)
    words = text.split()
    if len(words) == 1:
        words = _GLUE.sub(" ", _GLUED_COMMA.sub(", ", _GLUED_AND.sub(" & ", words[0]))).split()
    return canonical(" ".join(words))


def segments_of(
    paths: Iterable[Iterable[str]], stop_tags: Collection[str] = STOP_TAGS
) -> list[str]:
    """The distinct cleaned segments of a product's category paths, in order of first sight."""
    cleaned = (clean_segment(segment) for path in paths for segment in path)
    return list(dict.fromkeys(tag for tag in cleaned if tag and tag not in stop_tags))


def minimum_share(tags_of_product: Mapping[str, Iterable[str]], share: float) -> list[str]:
    """The tags carried by at least this share of the distinct products, sorted.

    A product counts once for a tag, however often the tag is named and however many photos or
    reviews it has (the authors' similarity counted it once a review).

    Args:
        tags_of_product: product id -> its tags.
        share: 0..1; the paper keeps 0.05 (14 tags) or 0.005 (115 tags).
    """
    products = Counter(tag for tags in tags_of_product.values() for tag in set(tags))
    needed = needed_products(len(tags_of_product), share)
    return sorted(tag for tag, count in products.items() if count >= needed)


def needed_products(products: int, share: float) -> float:
    """How many of the products must carry a tag for it to be kept; a count is compared with it.

    Args:
        products: distinct products.
        share: 0..1.
    """
    # Rounded: 0.07 * 100 is 7.000000000000001 and would lose a tag with 7 of 100.
    return round(share * products, 9)


def paper_tokens(category: object) -> list[str]:
    """The tags that the authors' notebooks read out of a category list.

    They printed the list, removed `[`, `]` and `'`, split at ", " and lower-cased; so a category
    with a comma becomes two tags, one with an apostrophe keeps Python's double quotes, and HTML
    stays. Repeated tokens count once.

    Args:
        category: the list as published (lists of lists too), or its text.
    """
    text = str(category).translate(_PRINTED_LIST).lower()
    return list(dict.fromkeys(token for token in text.split(", ") if token))
