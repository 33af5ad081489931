"""Takes out of texts what must not stand in a log: passwords, signatures, sellers' words (pure)."""

import re
from collections.abc import Callable
from typing import Any, Final, cast


def _without_query(url: re.Match[str]) -> str:
    return f"{url[1]}?***" if url[2] else url[1]


#: Each takes all of what it looks at in one go: a text that is made to be slow is not.
_REPLACED: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    # Whoever has the query of a signed URL may read what it names.
    (re.compile(r"(https?://[^\s?#'\"<>\\]*)([?#][^\s'\"<>\\]*)?", re.IGNORECASE), _without_query),
    (re.compile(r"(\w://[^\s/?#@:'\"]*):[^\s/@'\"]*@"), r"\1:***@"),
    # Postgres quotes the row that broke a rule; SQLAlchemy and Python go on after it.
    (re.compile(r"\nDETAIL: .*?(?=\n\[SQL: |\n\nThe above |\n\nDuring |\Z)", re.DOTALL), ""),
)


def redacted(value: Any) -> Any:
    """The value, with what is secret in its texts replaced; looks into lists, tuples and dicts.

    The query and fragment of http URLs, the password of any URL, and the detail of an error of
    Postgres. Texts that say it in other ways are left as they are: nothing may rely on this alone.
    """
    if isinstance(value, str):
        for pattern, instead in _REPLACED:
            value = pattern.sub(instead, value)
        return value
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {key: redacted(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [redacted(item) for item in cast("list[Any]", value)]
    return value
