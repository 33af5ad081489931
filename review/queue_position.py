"""Where in the queue somebody is, and what of it they want to see: as a URL's query (pure)."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self
from urllib.parse import urlencode

from shared.domain.vocabulary import canonical

#: The longest tag there is.
MAX_WORD: Final = 200
MAX_ID: Final = (1 << 63) - 1
_LEAST: Final = 1e-30
_ID: Final = re.compile(r"[0-9]{1,19}")
_KEY: Final = re.compile(r"(flagged|uncertain):([0-9.eE+-]{1,30}):([0-9]{1,19})")


class Band(StrEnum):
    """Why a listing is in the queue; the first ones come first."""

    FLAGGED = "flagged"  #: it has a flag, by its score, the highest first
    UNCERTAIN = "uncertain"  #: one of its tags only just reached its threshold


@dataclass(frozen=True, slots=True)
class Key:
    """A listing's place in the queue.

    Attributes:
        band: see `Band`.
        value: of its highest flag the score; of its least certain tag how far the score is on
            its way from the threshold, 0, to 1.
        listing_id: the row.
    """

    band: Band
    value: float
    listing_id: int

    def __str__(self) -> str:
        return f"{self.band}:{self.value!r}:{self.listing_id}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The key that `str` wrote; None for anything else."""
        found = _KEY.fullmatch(text)
        if found is None:
            return None
        try:
            value, listing_id = float(found[2]), int(found[3])
        except ValueError:
            return None
        if not math.isfinite(value) or abs(value) > 1e9 or listing_id > MAX_ID:
            return None
        # To Postgres's `real`, which holds scores, anything smaller is out of range.
        return cls(Band(found[1]), 0.0 if abs(value) < _LEAST else value, listing_id)


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Filters, and the listing that is looked at.

    Attributes:
        kind: only flags of this kind; `uncertain` for no flags; '' for all.
        tag: only listings that have this tag, or a flag about it.
        everyone: also listings that other reviewers have voted on.
        key: the listing that is looked at, or after which a page begins.
    """

    kind: str = ""
    tag: str = ""
    everyone: bool = False
    key: Key | None = None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        """Out of a query or a form; what is none of this counts as not given."""
        return cls(
            read_word(given.get("kind", "")),
            canonical(read_word(given.get("tag", ""))),
            given.get("everyone") == "1",
            Key.parse(given.get("key", "")),
        )

    def at(self, key: Key | None) -> "QueuePosition":
        """The same, elsewhere."""
        return replace(self, key=key)

    @property
    def fields(self) -> dict[str, str]:
        """What `of` reads."""
        given = {
            "kind": self.kind,
            "tag": self.tag,
            "everyone": "1" if self.everyone else "",
            "key": str(self.key) if self.key else "",
        }
        return {name: value for name, value in given.items() if value}

    def query(self, **more: object) -> str:
        """A URL's query with its `?`; empty where there is nothing to say."""
        given = self.fields | {name: str(value) for name, value in more.items()}
        return f"?{urlencode(given)}" if given else ""


def read_id(text: str) -> int | None:
    """The id of a row; None for anything that cannot be one."""
    if not _ID.fullmatch(text) or int(text) > MAX_ID:
        return None
    return int(text)


def read_word(text: str) -> str:
    """A name out of a query; empty for anything that cannot be one."""
    text = text.strip()
    return text if len(text) <= MAX_WORD and "\0" not in text else ""
