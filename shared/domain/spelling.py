"""What sellers write, as words that can be compared however they are spelled (pure)."""

import re
import unicodedata
from typing import Final

#: Nothing is seen of these, though Unicode files them under letters and marks.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def words(text: str) -> tuple[str, ...]:
    """The words of a tag or a title: letters, marks and digits; all else stands between words.

    Case, compatibility forms such as wide letters, and characters that nobody sees make no
    difference. Letters of other scripts that look alike do.
    """
    composed = _UNSEEN.sub("", unicodedata.normalize("NFKC", text).casefold())
    # What stood apart by something unseen may belong together.
    return tuple(unicodedata.normalize("NFKC", "".join(map(_seen, composed))).split())


def _seen(char: str) -> str:
    category = unicodedata.category(char)
    if category in {"Cc", "Cf"} and not char.isspace():
        return ""
    return char if category[0] in "LMN" else " "
