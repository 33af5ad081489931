"""The one thread of a process that fetches: every transfer, whoever asked for it.

All callers share its connections and its limits, so a host sees one client with so many
connections, whatever the number of batches in work.
"""

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import pycurl
import structlog

from shared.errors import BadResponse, FetchError, Overdue, TooManyRedirects, TooSlow
from shared.settings import PhotoLimits
from shared.watchdog import EXIT_STUCK
from worker.fetch.address import join_redirect
from worker.fetch.budget import Budget
from worker.fetch.call import Call, Download, Errand, host_of
from worker.fetch.exchange import Exchange
from worker.fetch.gates import Gates
from worker.fetch.pace import Pace
from worker.fetch.policy import check_hop
from worker.fetch.reactor import Reactor
from worker.fetch.room import Room
from worker.fetch.turns import Turns

log = structlog.get_logger()

#: How often it looks who waited too long.
_LOOK_S: Final = 0.1
_IDLE_S: Final = 1.0
#: So long may callers' `quick` keep it from its transfers, before it leaves photos to them.
_QUICK_S: Final = 0.05


class FetchLoop:
    """Runs in a thread of its own from the first errand on, until it is closed."""

    def __init__(
        self,
        settings: PhotoLimits,
        gates: Gates,
        *,
        leave_at: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """Starts nothing yet.

        Args:
            settings: limits of each photo and of all together.
            gates: only its thread uses them.
            leave_at: from when on (monotonic) all photos are left.
        """
        self._settings = settings
        self._leave_at = leave_at
        self._gates = gates
        self._turns = Turns(settings, gates)
        self._reactor = self._new_reactor()
        self._calls: set[Call[object]] = set()
        self._spare: list[Exchange] = []
        self._inbox: deque[Errand | Call[object]] = deque()
        self._under_way: dict[pycurl.Curl, tuple[Errand, Exchange]] = {}
        self._pace = Pace()
        self._budget = Budget(settings)
        self._looked_at = self._quick_until = 0.0
        self._lock = threading.Lock()
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
        self._budget.hold(-1, -size)
        if self._turns.wait_for_us:
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
        self._busy = self._turns.wait_for_us
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
            for gate in self._gates.look(now, self._turns.waiting):
                self._turns.reconsider(gate, now)
            self._turns.give_up(now)
            self._leave_stragglers(now)
            self._turns.look(now)
            self._make_room(now)

    def _read_inbox(self) -> None:
        while self._inbox:
            news = self._inbox.popleft()
            if isinstance(news, Call):
                self._forget(news)
            else:
                self._calls.add(news.call)
                self._turns.add(news, news.asked_at)

    def _start(self) -> None:
        """Starts what the limits allow, one photo of each host in turn."""
        while self._turns.wait_for_us and self._budget.allows(len(self._under_way)):
            now = time.monotonic()
            errand = self._turns.next(now)
            if errand is None:
                return
            errand.started_at = now - errand.spent_s
            self._dial(errand, self._spare.pop() if self._spare else Exchange(self._settings))

    def _dial(self, errand: Errand, exchange: Exchange) -> None:
        errand.dialled_at = time.monotonic()
        left_s = errand.started_at + errand.call.deadline_s - errand.dialled_at
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
            if errand.gate.breaker.stranger:
                self._turns.lookups.begin(exchange.curl)

    def _end(self, curl: pycurl.Curl, code: int, words: str) -> None:
        errand, exchange = self._under_way.pop(curl)
        self._turns.lookups.end(curl, silent=code == pycurl.E_OPERATION_TIMEDOUT)
        try:
            location = exchange.redirect
            if location is None:
                self._arrive(errand, exchange, exchange.take_body(code, words))
            else:
                self._turn_to(errand, exchange, location)
        except FetchError as error:
            self._fall(errand, exchange, error)

    def _arrive(self, errand: Errand, exchange: Exchange, body: bytes) -> None:
        now = time.monotonic()
        self._gates.answered(errand.gate, now, now - errand.dialled_at)
        self._put_down(errand, exchange)
        self._pace.count(errand.host)
        self._budget.count(len(body))
        quickly = now < self._quick_until and not errand.call.cancelled
        download = Download(body, errand.url, now - errand.started_at, errand.place)
        if errand.call.arrive(download, quickly=quickly):
            self._budget.hold(1, len(body))

    def _turn_to(self, errand: Errand, exchange: Exchange, location: str) -> None:
        if errand.redirects == self._settings.max_redirects:
            raise TooManyRedirects(f"more than {errand.redirects}")
        errand.redirects += 1
        now = time.monotonic()
        self._gates.answered(errand.gate, now, now - errand.dialled_at)
        errand.url = check_hop(join_redirect(errand.url, location), self._settings)
        host = host_of(errand.url)
        if host == errand.host:
            self._dial(errand, exchange)
            return
        # Another host has its own limits, and what becomes of the hop is its own doing.
        self._pace.count(errand.host)
        self._put_down(errand, exchange)
        errand.host, errand.spent_s = host, now - errand.started_at
        self._turns.add(errand, now)

    def _fall(self, errand: Errand, exchange: Exchange, error: FetchError) -> None:
        self._put_down(errand, exchange)
        if not isinstance(error, TooSlow):
            self._pace.count(errand.host)
        now = time.monotonic()
        began_at, deadline_s = errand.dialled_at, errand.call.deadline_s
        if self._gates.failed(errand.gate, error, now, began_at=began_at, deadline_s=deadline_s):
            self._turns.reconsider(errand.gate, now)
        errand.end(self._gates.verdict(errand.gate, error, now, deadline_s=deadline_s))

    def _put_down(self, errand: Errand, exchange: Exchange) -> None:
        exchange.release()
        self._spare.append(exchange)
        self._turns.done(errand)

    def _leave_stragglers(self, now: float) -> None:
        """Ends the last photos of calls that have waited long enough for them."""
        late = {call for call in self._calls if call.waits_for_stragglers(now)}
        if not late:
            return
        words = "much slower than the others of its batch"
        self._turns.leave(late, now, words)
        for curl, (errand, exchange) in [*self._under_way.items()]:
            # One that was started late, for want of a connection, has its time too.
            if errand.call in late and now - errand.started_at > (errand.call.stragglers_s or 0):
                self._abandon(curl)
                self._fall(errand, exchange, TooSlow(words))

    def _leave_all(self) -> None:
        """Ends all photos that have not arrived: others have time for them."""
        self._turns.leave_all()
        for curl, (errand, exchange) in [*self._under_way.items()]:
            self._abandon(curl)
            self._put_down(errand, exchange)
            errand.end(Overdue())

    def _make_room(self, now: float) -> None:
        """Lets in what will have been started within a deadline."""
        self._pace.look(now)
        most = self._pace.per_s * self._settings.fetch_deadline_s
        self.room.look(self._pace.moving(self._turns.counts()), most, busy=self._busy)

    def _abandon(self, curl: pycurl.Curl) -> None:
        del self._under_way[curl]
        self._turns.lookups.end(curl, silent=True)
        self._reactor.abandon(curl)

    def _forget(self, call: Call[object]) -> None:
        for curl, (errand, exchange) in [*self._under_way.items()]:
            if errand.call is call:
                self._abandon(curl)
                exchange.close()
                self._turns.done(errand)
        self._calls.discard(call)
        self._drop_arrived(call)

    def _drop_arrived(self, call: Call[object]) -> None:
        for download in call.drain():
            self._budget.hold(-1, -len(download.body))

    def _fail_all(self, error: Exception) -> None:
        """Ends every call, and starts from nothing: whatever it was left half done."""
        self._read_inbox()
        for call in self._calls:
            if not call.ended:
                self._drop_arrived(call)
                call.fail(error)
        self._calls.clear()
        exchanges = [*self._spare, *(exchange for _, exchange in self._under_way.values())]
        self._spare.clear()
        self._under_way.clear()
        self._turns.clear()
        broken, self._reactor = self._reactor, self._new_reactor()
        broken.close()
        for exchange in exchanges:
            exchange.close()

    def _new_reactor(self) -> Reactor:
        return Reactor(
            connections=self._settings.connections,
            connections_per_host=self._settings.connections_per_host,
        )
