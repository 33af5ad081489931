"""The one thread of a process that fetches: every transfer, whoever asked for it.

All callers share its connections and its limits, so a host sees one client with so many
connections, whatever the number of batches in work.
"""

import math
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

import pycurl
import structlog

from shared.errors import BadResponse, FetchError, Overdue, TooManyRedirects, TooSlow
from shared.settings import PhotoLimits
from shared.watchdog import EXIT_STUCK
from worker.fetch.address import join_redirect
from worker.fetch.call import Call, Download, Errand
from worker.fetch.exchange import Exchange
from worker.fetch.pace import Pace
from worker.fetch.policy import check_hop
from worker.fetch.reactor import Reactor
from worker.fetch.room import Room

log = structlog.get_logger()

#: Photos that arrived and that their callers have not yet taken.
_HELD_PHOTOS: Final = 16
#: How often it looks who waited too long.
_LOOK_S: Final = 0.1
_IDLE_S: Final = 1.0
#: So long may callers' `quick` keep it from its transfers, before it leaves photos to them.
_QUICK_S: Final = 0.05
_FIRST_BODY_BYTES: Final = 128 << 10


class FetchLoop:
    """Runs in a thread of its own from the first errand on, until it is closed."""

    def __init__(
        self, settings: PhotoLimits, *, leave_at: Callable[[], float] = lambda: math.inf
    ) -> None:
        """Starts nothing yet; `leave_at` says from when on (monotonic) all photos are left."""
        self._settings = settings
        self._leave_at = leave_at
        self._reactor = self._new_reactor()
        self._calls: set[Call[object]] = set()
        self._spare: list[Exchange] = []
        self._inbox: deque[Errand | Call[object]] = deque()
        self._under_way: dict[pycurl.Curl, tuple[Errand, Exchange]] = {}
        self._waiting: dict[str, deque[Errand]] = {}
        #: Hosts with photos that wait and connections to spare; a dict for its order.
        self._startable: dict[str, None] = {}
        self._connections: Counter[str] = Counter()
        self._pace = Pace()
        self._mean_bytes = float(_FIRST_BODY_BYTES)
        self._looked_at = self._quick_until = 0.0
        self._lock = threading.Lock()
        self._held = self._held_bytes = 0
        self._closing = self._busy = False
        self._thread: threading.Thread | None = None
        self.room = Room()  #: for callers that can wait before they ask

    # For callers

    def submit(self, errands: Sequence[Errand]) -> None:
        """Takes in errands, in their order."""
        self.room.enter(len(errands))
        self._inbox.extend(errands)
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, daemon=True, name="fetch")
                    self._thread.start()
        self._reactor.wake()

    def cancel(self, call: Call[object]) -> None:
        """Nobody waits for the photos of a call any more."""
        call.cancelled = True
        self._inbox.append(call)
        self._reactor.wake()

    def taken(self, size: int) -> None:
        """A caller has taken a photo of so many bytes, and let go of it."""
        self._hold(-1, -size)
        if self._startable:
            self._reactor.wake()

    def close(self) -> None:
        """Closes all connections. May wait for a name look-up that hangs (seconds)."""
        self._closing = True
        if self._thread is not None:
            self._reactor.wake()
            self._thread.join()
            self._thread = None
        self._reactor.close()
        for exchange in self._spare:
            exchange.close()
        self._spare.clear()

    # On the thread

    def _run(self) -> None:
        try:
            while not self._closing:
                try:
                    self._turn()
                except Exception as error:  # whoever waits must hear of it, or waits for ever
                    log.exception("fetch.unexpected")
                    self._fail_all(error)
            self._fail_all(RuntimeError("the downloader was closed"))
        except BaseException:
            log.exception("fetch.lost")
            # Nobody else can fetch here. What the process held goes back by its leases.
            os._exit(EXIT_STUCK)

    def _turn(self) -> None:
        self._read_inbox()
        self._start()
        self._busy = bool(self._startable)  # photos wait, and not for their hosts
        idle = not self._calls and not self.room.full
        ended = self._reactor.wait(_IDLE_S if idle else _LOOK_S)
        self._quick_until = time.monotonic() + _QUICK_S
        for curl, code, words in ended:
            self._end(curl, code, words)
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S:
            self._looked_at = now
            self._calls = {call for call in self._calls if not call.ended}
            if now > self._leave_at():
                self._leave_all()
            self._give_up(now)
            self._leave_stragglers(now)
            self._make_room(now)

    def _read_inbox(self) -> None:
        while self._inbox:
            news = self._inbox.popleft()
            if isinstance(news, Call):
                self._abandon(news)
            else:
                self._calls.add(news.call)
                self._waiting.setdefault(news.host, deque()).append(news)
                self._note_startable(news.host)

    def _start(self) -> None:
        """Starts what the limits allow, one photo of each host in turn."""
        while self._startable and self._has_room():
            host = next(iter(self._startable))
            del self._startable[host]
            queue = self._waiting[host]
            errand = queue.popleft()
            if not queue:
                del self._waiting[host]
            if not errand.call.cancelled:
                errand.started_at = time.monotonic()
                exchange = self._spare.pop() if self._spare else Exchange(self._settings)
                self._connections[host] += 1
                self._dial(errand, exchange)
            self._note_startable(host)

    def _has_room(self) -> bool:
        """Whether another transfer may start: a body that is on its way counts as a usual one."""
        on_their_way = len(self._under_way)
        expected = on_their_way * self._mean_bytes + self._held_bytes
        # One photo may always come, however large the last ones were.
        return not (on_their_way or self._held) or (
            self._held < _HELD_PHOTOS
            and on_their_way < self._settings.connections
            and expected < self._settings.max_bytes_in_flight
        )

    def _note_startable(self, host: str) -> None:
        free = self._connections[host] < self._settings.connections_per_host
        if free and host in self._waiting:
            self._startable[host] = None
        if not self._connections[host]:
            del self._connections[host]

    def _dial(self, errand: Errand, exchange: Exchange) -> None:
        left_s = errand.started_at + errand.call.deadline_s - time.monotonic()
        try:
            if left_s <= 0:
                raise TooSlow("redirected past its deadline")
            exchange.prepare(errand.url, timeout_s=left_s)
            self._reactor.start(exchange.curl)
        except FetchError as error:
            self._fall(errand, exchange, error)
        except pycurl.error as error:
            self._fall(errand, exchange, BadResponse(f"libcurl error {error.args[0]}"))
        else:
            self._under_way[exchange.curl] = (errand, exchange)

    def _end(self, curl: pycurl.Curl, code: int, words: str) -> None:
        errand, exchange = self._under_way.pop(curl)
        try:
            location = exchange.redirect
            if location is None:
                self._arrive(errand, exchange, exchange.take_body(code, words))
            else:
                self._turn_to(errand, location)
                self._dial(errand, exchange)
        except FetchError as error:
            self._fall(errand, exchange, error)

    def _arrive(self, errand: Errand, exchange: Exchange, body: bytes) -> None:
        self._put_down(errand, exchange)
        self._pace.count(errand.host)
        self._mean_bytes += (len(body) - self._mean_bytes) / 16
        elapsed_s = time.monotonic() - errand.started_at
        quickly = time.monotonic() < self._quick_until and not errand.call.cancelled
        download = Download(body, errand.url, elapsed_s, errand.place)
        if errand.call.arrive(download, quickly=quickly):
            self._hold(1, len(body))

    def _hold(self, photos: int, size: int) -> None:
        with self._lock:
            self._held += photos
            self._held_bytes += size

    def _turn_to(self, errand: Errand, location: str) -> None:
        if errand.redirects == self._settings.max_redirects:
            raise TooManyRedirects(f"more than {errand.redirects}")
        errand.redirects += 1
        errand.url = check_hop(join_redirect(errand.url, location), self._settings)

    def _fall(self, errand: Errand, exchange: Exchange, error: FetchError) -> None:
        self._put_down(errand, exchange)
        if not isinstance(error, TooSlow):
            self._pace.count(errand.host)
        errand.call.end(errand.place, error)

    def _put_down(self, errand: Errand, exchange: Exchange) -> None:
        exchange.release()
        self._spare.append(exchange)
        self._connections[errand.host] -= 1
        self._note_startable(errand.host)

    def _give_up(self, now: float) -> None:
        """Ends photos that are too late to start, and those that wait too long for their host.

        The latter only where it is the host that they wait for, and not our own limits.
        """

        def given_up(errand: Errand) -> FetchError | None:
            if errand.call.until is not None and now > errand.call.until:
                return Overdue()
            too_long = now - errand.asked_at > 2 * errand.call.deadline_s
            if too_long and errand.host not in self._startable:
                return TooSlow("waited for a connection to its host")
            return None

        self._end_waiting(given_up)

    def _end_waiting(self, given_up: Callable[[Errand], FetchError | None]) -> None:
        """Ends the photos that wait and for which `given_up` has an error."""
        for host, queue in [*self._waiting.items()]:
            left: deque[Errand] = deque()
            for errand in queue:
                error = given_up(errand)
                if error is None:
                    left.append(errand)
                elif not errand.call.cancelled:
                    errand.call.end(errand.place, error)
            if left:
                self._waiting[host] = left
            else:
                del self._waiting[host]
                self._startable.pop(host, None)

    def _leave_stragglers(self, now: float) -> None:
        """Ends the last photos of calls that have waited long enough for them."""
        late = {call for call in self._calls if call.waits_for_stragglers(now)}
        if not late:
            return
        error = "much slower than the others of its batch"
        wait_for_us = {*self._startable}
        for curl, (errand, exchange) in [*self._under_way.items()]:
            # One that was started late, for want of a connection, has its time too.
            if errand.call in late and now - errand.started_at > (errand.call.stragglers_s or 0):
                del self._under_way[curl]
                self._reactor.abandon(curl)
                self._fall(errand, exchange, TooSlow(error))

        def given_up(errand: Errand) -> FetchError | None:
            waits_for_host = errand.host not in wait_for_us
            return TooSlow(error) if errand.call in late and waits_for_host else None

        self._end_waiting(given_up)

    def _leave_all(self) -> None:
        """Ends all photos that have not arrived: others have time for them."""
        for curl, (errand, exchange) in [*self._under_way.items()]:
            del self._under_way[curl]
            self._reactor.abandon(curl)
            self._fall(errand, exchange, Overdue())
        self._end_waiting(lambda _errand: Overdue())

    def _make_room(self, now: float) -> None:
        """Lets in what will have been started within a deadline."""
        self._pace.look(now)
        waiting = {host: len(queue) for host, queue in self._waiting.items()}
        most = self._pace.per_s * self._settings.fetch_deadline_s
        self.room.look(self._pace.moving(waiting), most, busy=self._busy)

    def _abandon(self, call: Call[object]) -> None:
        for curl, (errand, exchange) in [*self._under_way.items()]:
            if errand.call is call:
                del self._under_way[curl]
                self._reactor.abandon(curl)
                exchange.close()
                self._connections[errand.host] -= 1
                self._note_startable(errand.host)
        self._calls.discard(call)
        self._drop_arrived(call)

    def _drop_arrived(self, call: Call[object]) -> None:
        for download in call.drain():
            self._hold(-1, -len(download.body))

    def _fail_all(self, error: Exception) -> None:
        """Ends every call, and starts from nothing: whatever it was left half done."""
        self._read_inbox()
        for call in self._calls:
            if not call.ended:
                self._drop_arrived(call)
                call.fail(error)
        self._calls.clear()
        exchanges = [*self._spare, *(exchange for _, exchange in self._under_way.values())]
        for collection in (self._spare, self._under_way, self._waiting, self._startable):
            collection.clear()
        self._connections.clear()
        broken, self._reactor = self._reactor, self._new_reactor()
        broken.close()
        for exchange in exchanges:
            exchange.close()

    def _new_reactor(self) -> Reactor:
        return Reactor(
            connections=self._settings.connections,
            connections_per_host=self._settings.connections_per_host,
        )
