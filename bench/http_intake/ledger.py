"""What was sent held against what is in Postgres: lost, doubled, never sent."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection  # noqa: N812  # a type's name

from bench.running import rows
from bench.webhooks import SOURCE

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Ledger:
    """Events of one listing each, and the rows of their listings."""

    sent: int
    lost: int  #: acknowledged, and not the last word on their listing
    never_sent: int  #: listings that nobody spoke of
    doubled: int  #: photos beyond one a listing, and entries of the feed beyond one
    untagged: int  #: photos that were not tagged; all of them where no worker ran
    rejected: int  #: rows of rejected events
    examples: tuple[str, ...]  #: a few listings that were lost

    @property
    def good(self) -> bool:
        """Every event is there once."""
        return not (self.lost or self.never_sent or self.doubled or self.rejected)


def audit(connection: Connection, sent: Mapping[str, str]) -> Ledger:
    """Reads every listing.

    Args:
        connection: to the database.
        sent: listing -> id of the event that created it; all of them acknowledged.
    """
    found = dict(rows(connection, "SELECT external_id, event_id FROM listing"))
    lost = sorted(name for name, id_ in sent.items() if found.get(name) != f"{SOURCE} {id_}")
    query = """
        SELECT (SELECT count(*) - count(DISTINCT listing_id) FROM photo)
            + (SELECT count(*) - count(DISTINCT listing_id) FROM search_feed),
            (SELECT count(*) FROM photo WHERE status <> 'tagged'),
            (SELECT count(*) FROM rejected_event)
    """
    [(doubled, untagged, rejected)] = rows(connection, query)
    return Ledger(
        sent=len(sent),
        lost=len(lost),
        never_sent=len(found.keys() - sent.keys()),
        doubled=doubled,
        untagged=untagged,
        rejected=rejected,
        examples=tuple(lost[:_EXAMPLES]),
    )
