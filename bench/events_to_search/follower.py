"""Says what happens to a listing, and looks until tags, feed and index have followed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Final, Self

from sqlalchemy import create_engine, text

from bench.running import settings_of
from bench.webhooks import Client, event, one
from dev.services import Urls
from search.query import Found, Query, search
from shared.db.session import sqlalchemy_url
from shared.errors import SetupError

KINDS: Final = ("created", "updated", "deleted")
#: What is waited for, each no earlier than the one before.
STEPS: Final = ("answered", "tags", "document", "found")
#: Half of it, on average, is in what is measured.
POLL_S: Final = 0.005

Look = Callable[[], bool]


class Follower:
    """Says what happens to listings, and looks until all that follows is there."""

    def __init__(self, urls: Urls, client: Client, limit_s: float) -> None:
        """Opens nothing yet."""
        self._engine = create_engine(
            sqlalchemy_url(urls.database_url), isolation_level="AUTOCOMMIT"
        )
        self._language = settings_of(urls).search_language
        self._client = client
        self._limit_s = limit_s
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.callback(self._engine.dispose)
        self._stack.callback(self._client.close)
        self._connection = self._stack.enter_context(self._engine.connect())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def live(
        self, listing: str, photos: tuple[str, str]
    ) -> Iterator[tuple[str, Mapping[str, float]]]:
        """A listing's life: created with one photo, given another and a new title, deleted.

        Yields:
            What happened, and after how many seconds each of `STEPS` was seen.
        """
        before, after = (f"{listing.replace('-', '')}{letter}" for letter in "ab")
        for kind, word, gone, photo in (
            ("created", before, None, photos[0]),
            ("updated", after, before, photos[1]),
        ):
            data: dict[str, Any] = {
                "title": f"Thing {word}",
                "seller_tags": ["bargain"],
                "photos": [photo],
            }
            yield (
                kind,
                self._follow(
                    kind,
                    listing,
                    data,
                    [
                        lambda photo=photo: self._tagged(listing) == [photo],
                        lambda title=data["title"]: self._says(listing, title),
                        lambda word=word, gone=gone: self._finds(listing, word, gone),
                    ],
                ),
            )
        yield (
            "deleted",
            self._follow(
                "deleted",
                listing,
                None,
                [
                    lambda: self._tagged(listing) == [],
                    lambda: self._newest(listing) is None,
                    lambda: self._search(after).total == 0,
                ],
            ),
        )

    def _follow(
        self, kind: str, listing: str, data: Mapping[str, Any] | None, looks: Sequence[Look]
    ) -> dict[str, float]:
        at = datetime.now(UTC)
        message = one(event(kind, listing, f"{listing}-{kind}", at, data))
        began = time.monotonic()
        answer = self._client.post(message)
        if answer.status != 202:
            raise SetupError(f"{kind}: HTTP {answer.status}: {answer.body.decode()[:500]}")
        seconds = {STEPS[0]: time.monotonic() - began}
        for step, look in zip(STEPS[1:], looks, strict=True):
            while not look():
                if time.monotonic() - began > self._limit_s:
                    raise SetupError(f"{listing} {kind}: no {step} after {self._limit_s:.0f} s")
                time.sleep(POLL_S)
            seconds[step] = time.monotonic() - began
        return seconds

    def _tagged(self, listing: str) -> list[str | None]:
        """The URL of each photo of a listing; None for one that is not tagged yet."""
        return list(
            self._connection.execute(
                text("""
                    SELECT CASE status WHEN 'tagged' THEN url END FROM photo
                    JOIN listing ON listing.id = listing_id WHERE external_id = :listing
                """),
                {"listing": listing},
            ).scalars()
        )

    def _newest(self, listing: str) -> dict[str, Any] | None:
        """The feed's last word on a listing."""
        return self._connection.execute(
            text("""
                SELECT document FROM search_feed WHERE listing_id = :listing
                ORDER BY doc_version DESC LIMIT 1
            """),
            {"listing": listing},
        ).scalar()

    def _says(self, listing: str, title: str) -> bool:
        document = self._newest(listing)
        return (
            document is not None
            and document["title"] == title
            and document["photos"] == {"tagged": 1, "failed": 0, "pending": 0}
        )

    def _finds(self, listing: str, word: str, gone: str | None) -> bool:
        document = self._newest(listing)
        found = [(hit.listing_id, hit.tags) for hit in self._search(word).hits]
        tags = [] if document is None else [tag["tag"] for tag in document["tags"]]
        return found == [(listing, tags)] and (gone is None or self._search(gone).total == 0)

    def _search(self, word: str) -> Found:
        """As `tagger search` does."""
        return search(self._connection, Query(word), self._language)
