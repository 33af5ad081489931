"""What an `X-Robots-Tag` header forbids a program that looks at pictures (pure).

Source: Google Search Central, "Robots meta tag, data-nosnippet, and X-Robots-Tag
specifications"; `noai` and `noimageai` are DeviantArt's, and of the same form.
"""

import re
from collections.abc import Iterable
from typing import Final

_FORBIDDING: Final = frozenset({"noindex", "none", "noai", "noimageai", "noimageindex"})
#: Rules with a value after a colon, which is no agent's name before one.
_VALUED: Final = frozenset(
    {"max-image-preview", "max-snippet", "max-video-preview", "unavailable_after"}
)
_AGENT: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")  # a token: RFC 9110, section 5.6.2


def product_token(user_agent: str) -> str:
    """What a program is called in rules for it: the first word of its User-Agent."""
    return re.split(r"[/ ]", user_agent, maxsplit=1)[0]


def forbidding_rule(fields: Iterable[str], agent: str) -> str | None:
    """The first rule that forbids `agent` to use the photo; None if none does.

    A name before a rule (`otherbot: noindex, nofollow`) says whom it and the rules after it in
    the same field are for. Each field starts again with rules for everybody. Where rules
    disagree, the stricter one holds.

    Args:
        fields: the values of all fields of that name, one of each field line.
        agent: the product token that we call ourselves, in any case.
    """
    ours = {"*", agent.lower()}
    for field in fields:
        for_us = True
        for item in field.lower().split(","):
            name, colon, rest = (part.strip() for part in item.partition(":"))
            rule = name
            if colon and name not in _VALUED and _AGENT.fullmatch(name):
                for_us, rule = name in ours, rest
            if for_us and rule in _FORBIDDING:
                return rule
    return None
