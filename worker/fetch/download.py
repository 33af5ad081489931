"""Many photos over HTTP at once, each within its deadline and its byte limit.

HTTP/1.1 only, so that one photo's stall never holds up another's connection.
"""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pycurl

from shared.errors import BadResponse, BadUrl, FetchError, TooManyRedirects, TooSlow
from shared.settings import PhotoLimits
from worker.fetch.address import check_url, join_redirect
from worker.fetch.exchange import Exchange
from worker.fetch.reactor import Reactor

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Download:
    """A photo as its origin sent it; `elapsed_s` counts from the start of its first hop."""

    body: bytes
    final_url: str
    elapsed_s: float
    place: int  #: of its URL among those of the call


def _whole(download: Download) -> Download:
    return download


class Downloader:
    """Fetches photos and keeps connections between calls. Belongs to one thread."""

    def __init__(self, settings: PhotoLimits) -> None:
        self._settings = settings
        self._reactor = Reactor(connections_per_host=settings.connections_per_host)
        self._spare: list[Exchange] = []

    def fetch(
        self, urls: Sequence[str], *, deadline_s: float, take: Callable[[Download], T] = _whole
    ) -> list[T | FetchError]:
        """What `take` makes of the photo at each URL, or why there is none, in their order.

        `take` is called as each photo arrives, so that bodies need not pile up until the last
        one is there; what it raises ends the call.

        A photo's deadline counts from its own start and covers everything: names, TLS,
        redirects, drips. It starts when one of its host's `connections_per_host` is free; one
        that is still waiting after `deadline_s` is too slow, so that a call takes at most
        twice `deadline_s`, however many photos a hanging host has in it.
        """
        call = _Call(
            self._settings, self._reactor, self._spare, len(urls), deadline_s=deadline_s, take=take
        )
        try:
            return call.run(urls)
        finally:
            call.abandon()

    def close(self) -> None:
        """Close all connections. May wait for a name look-up that hangs (seconds)."""
        self._reactor.close()
        for exchange in self._spare:
            exchange.close()
        self._spare.clear()


@dataclass(slots=True)
class _Errand:
    """One photo on its way: its place in the call and the hop it has come to."""

    place: int
    host: str  #: whose connections it counts among: the first hop's scheme, name and port
    url: str
    started_at: float = 0.0
    redirects: int = 0


class _Call(Generic[T]):
    """One call of `fetch`: who waits, who is under way, what has come of the rest."""

    def __init__(
        self,
        settings: PhotoLimits,
        reactor: Reactor,
        spare: list[Exchange],
        photos: int,
        *,
        deadline_s: float,
        take: Callable[[Download], T],
    ) -> None:
        self._take = take
        self._settings = settings
        self._reactor = reactor
        self._spare = spare
        self._deadline_s = deadline_s
        self._waiting: defaultdict[str, deque[_Errand]] = defaultdict(deque)
        self._under_way: dict[pycurl.Curl, tuple[_Errand, Exchange]] = {}
        self._connections: Counter[str] = Counter()
        # What remains of a photo that never gets its turn.
        self._results: list[T | FetchError] = [
            TooSlow("waited for a connection to its host") for _ in range(photos)
        ]

    def run(self, urls: Sequence[str]) -> list[T | FetchError]:
        for place, url in enumerate(urls):
            try:
                checked = check_url(url, allowed_ports=self._settings.allowed_ports)
            except BadUrl as error:
                self._results[place] = error.with_traceback(None)
            else:
                host = checked[: checked.index("/", len("https://"))]
                self._waiting[host].append(_Errand(place, host, checked))
        last_start = time.monotonic() + self._deadline_s
        for host in self._waiting:
            self._start_next(host)
        while self._under_way:
            for curl, code, words in self._reactor.wait(self._deadline_s):
                self._end(curl, code, words)
            if time.monotonic() > last_start:
                self._waiting.clear()
        return self._results

    def abandon(self) -> None:
        """Stop what is still under way, which is something only after an interruption."""
        for curl, (_, exchange) in self._under_way.items():
            self._reactor.abandon(curl)
            exchange.close()
        self._under_way.clear()

    def _start_next(self, host: str) -> None:
        # libcurl could make the others queue too, but they would spend their deadlines there.
        queue = self._waiting[host]
        while queue and self._connections[host] < self._settings.connections_per_host:
            errand = queue.popleft()
            errand.started_at = time.monotonic()
            exchange = self._spare.pop() if self._spare else Exchange(self._settings)
            self._connections[host] += 1
            self._dial(errand, exchange)

    def _dial(self, errand: _Errand, exchange: Exchange) -> None:
        left_s = errand.started_at + self._deadline_s - time.monotonic()
        try:
            if left_s <= 0:
                raise TooSlow("redirected past its deadline")
            exchange.prepare(errand.url, timeout_s=left_s)
            self._reactor.start(exchange.curl)
        except FetchError as error:
            self._put_down(errand, exchange, error)
        except pycurl.error as error:
            self._put_down(errand, exchange, BadResponse(f"libcurl error {error.args[0]}"))
        else:
            self._under_way[exchange.curl] = (errand, exchange)

    def _end(self, curl: pycurl.Curl, code: int, words: str) -> None:
        errand, exchange = self._under_way.pop(curl)
        try:
            location = exchange.redirect
            if location is None:
                body = exchange.take_body(code, words)
                elapsed_s = time.monotonic() - errand.started_at
                taken = self._take(Download(body, errand.url, elapsed_s, errand.place))
                self._put_down(errand, exchange, taken)
            else:
                self._turn(errand, location)
                self._dial(errand, exchange)
        except FetchError as error:
            self._put_down(errand, exchange, error)
        self._start_next(errand.host)

    def _turn(self, errand: _Errand, location: str) -> None:
        if errand.redirects == self._settings.max_redirects:
            raise TooManyRedirects(f"more than {errand.redirects}")
        errand.redirects += 1
        target = join_redirect(errand.url, location)
        errand.url = check_url(target, allowed_ports=self._settings.allowed_ports)

    def _put_down(self, errand: _Errand, exchange: Exchange, result: T | FetchError) -> None:
        if isinstance(result, FetchError):
            # A traceback would keep every frame below us alive, bodies and all.
            result = result.with_traceback(None)
        self._results[errand.place] = result
        self._connections[errand.host] -= 1
        exchange.release()
        self._spare.append(exchange)
