"""Reads the feed as the search indexer does, and notes when each listing was there."""

import threading
import time
from contextlib import closing
from typing import Final, Self

import psycopg2

from bench.running import rows

#: Half of it, on average, is in what is measured.
POLL_S: Final = 0.02
_AFTER: Final = "SELECT position, listing_id FROM search_feed WHERE position > %s ORDER BY position"


class FeedReader:
    """Polls the feed while in its `with` block."""

    def __init__(self, database_url: str) -> None:
        """Starts nothing yet."""
        self._url = database_url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="feed-reader")
        self.seen_at: dict[str, float] = {}  #: listing -> seconds since 1970, of its first document

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        position = 0
        with closing(psycopg2.connect(self._url)) as connection:
            connection.autocommit = True
            while not self._stop.wait(POLL_S):
                found = rows(connection, _AFTER, [position])
                now = time.time()
                for _, listing in found:
                    self.seen_at.setdefault(listing, now)
                if found:
                    position = found[-1][0]
