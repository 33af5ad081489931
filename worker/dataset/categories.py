"""A product's category value, in all the ways it is published, as clean paths (pure)."""

import ast
import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from shared.domain.vocabulary import clean_segment

MAX_SEGMENT_CHARACTERS = 200
#: Of the value's JSON; no product stands in thousands of categories.
MAX_CATEGORY_CHARACTERS = 1 << 16

_ELEMENT = re.compile(r"</?[a-zA-Z!]")


@dataclass(frozen=True, slots=True)
class Categories:
    """The clean category paths of a product, root first, and the dirt that was in them."""

    paths: list[list[str]]
    dirt: frozenset[str]


def read_categories(text: str, clean: Callable[[str], str] = clean_segment) -> Categories:
    """Reads a category value.

    The 2018 form joins all paths of a product into one flat list: "Electronics, Computers,
    Keyboards, Electronics, Mice" are two paths, so a list is taken apart where its root comes
    again. A segment that only repeats the one before it is left out.

    Args:
        text: the value as JSON: a list of segments, a list of paths, a text, or null.
        clean: a segment to a tag.
    """
    value = parse_value(text)
    dirt: set[str] = set()
    if isinstance(value, str) and value.strip():
        value, kind = paths_in_text(value)
        dirt.add(kind)
    if value is None or value in ("", [], [[]], [""]):
        dirt.add("empty_category")
        return Categories([], frozenset(dirt))
    if not isinstance(value, list):
        return Categories([], frozenset(dirt | {"unreadable_category"}))
    items = cast("list[object]", value)
    flat = not any(isinstance(item, list) for item in items)
    paths: list[list[str]] = []
    for item in [items] if flat else items:
        if isinstance(item, list):
            path = _clean_path(cast("list[object]", item), clean, dirt)
            paths += _parted(path, dirt) if flat else [path]
        else:
            dirt.add("wrong_type_in_category")
    paths = [list(path) for path in dict.fromkeys(map(tuple, paths)) if path]
    if not paths:
        dirt.add("empty_category")
    return Categories(paths, frozenset(dirt))


def parse_value(text: str) -> object:
    """The category value out of its JSON; something that is no category where it has none."""
    if len(text) > MAX_CATEGORY_CHARACTERS:
        return {}
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {}


def paths_in_text(text: str) -> tuple[list[object] | None, str]:
    """Category paths that are written as text, and which kind of text it is.

    Returns:
        The list that is printed there (`stringified_category`) or the paths of "A > B | A > C"
        (`category_as_text`); None for a list that does not parse (`unreadable_category`).
    """
    text = text.strip()
    if not text.startswith("["):
        paths = [[part.strip() for part in path.split(" > ")] for path in text.split("|")]
        return cast("list[object]", paths), "category_as_text"
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(value, list):
            return cast("list[object]", value), "stringified_category"
    return None, "unreadable_category"


def _clean_path(items: list[object], clean: Callable[[str], str], dirt: set[str]) -> list[str]:
    path: list[str] = []
    for item in items:
        if not isinstance(item, str):
            dirt.add("wrong_type_in_category")
            continue
        if _ELEMENT.search(item):
            dirt.add("html_in_category")
        elif "&" in item and html.unescape(item) != item:
            dirt.add("html_entity_in_category")
        segment = clean(item)
        if len(segment) > MAX_SEGMENT_CHARACTERS:
            dirt.add("segment_too_long")
        elif path and path[-1] == segment:
            dirt.add("repeated_segment")
        elif segment:
            path.append(segment)
    return path


def _parted(path: list[str], dirt: set[str]) -> list[list[str]]:
    starts = [index for index, segment in enumerate(path) if segment == path[0]]
    if len(starts) < 2:
        return [path]
    dirt.add("joined_paths")
    return [path[start:end] for start, end in pairwise([*starts, len(path)])]
