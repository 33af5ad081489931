"""How often reviewers say that a tag is right, and how sure that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from shared.db import models, votes

#: The normal quantile of a two-sided 95 % interval.
_Z: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Precision:
    """What was said of a tag, or of a kind of flag, over the listings that have it."""

    kind: str  #: 'tag', or a kind of flag
    subject: str  #: the tag; '' for flags
    accepted: int
    rejected: int
    even: int  #: listings whose reviewers disagree; they do not count

    @property
    def count(self) -> int:
        """How many listings count."""
        return self.accepted + self.rejected

    @property
    def share(self) -> float | None:
        """Of those that count, the accepted ones; None where there are none."""
        return self.accepted / self.count if self.count else None

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share lies, with 95 % certainty."""
        return wilson_interval(self.accepted, self.count)


def precisions(connection: Connection, version: str | None = None) -> Sequence[Precision]:
    """Tags first, then flags, by name.

    Args:
        connection: any.
        version: only what this model gave.

    Raises:
        ModelUnknown: there is no such model.
    """
    model_id = models.find(connection, version).id if version else None
    return [
        Precision(row.kind, row.subject, row.accepted, row.rejected, row.even)
        for row in votes.tallies(connection, model_id)
    ]


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """The two-sided 95 % interval of a share (Wilson 1927); 0 to 1 where nothing was counted."""
    if not count:
        return 0.0, 1.0
    share = hits / count
    centre = share + _Z**2 / (2 * count)
    spread = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
