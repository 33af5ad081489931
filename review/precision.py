"""How often reviewers say that a tag is right, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from shared.db import models, votes
from shared.domain import wilson


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
        return wilson.interval(self.accepted, self.count)


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
