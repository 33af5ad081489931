"""Events of made-up listings, as `tagger produce` reads them."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime


def event(number: int, photos: Sequence[str], occurred_at: datetime) -> str:
    """The line, without its end, of the listing of this number and with these photo URLs."""
    return json.dumps(
        {
            "event_id": f"e-{number}",
            "type": "listing.created",
            "occurred_at": occurred_at.isoformat(),
            "listing_id": f"listing-{number:07}",
            "title": f"Item {number}",
            "seller_tags": ["bargain"],
            "photos": list(photos),
        }
    )


def events(urls: Iterable[str]) -> Iterator[str]:
    """The lines of listings of one photo each."""
    return listings(urls, 1)


def listings(urls: Iterable[str], photos: int) -> Iterator[str]:
    """The lines of listings of so many photos each; the last one has what is left."""
    now = datetime.now(UTC)
    left = iter(urls)
    for number in itertools.count():
        some = [*itertools.islice(left, photos)]
        if not some:
            return
        yield event(number, some, now)
