"""Who may start next: the photos that wait, by host, and what holds each of them back."""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Final

from shared.errors import FetchError, HostResting, Overdue, TooSlow
from shared.settings import PhotoLimits
from worker.fetch.call import Call, Errand
from worker.fetch.gate import Gate
from worker.fetch.gates import Gates
from worker.fetch.lookups import Lookups
from worker.fetch.returns import Returns

#: Of all connections, for hosts that have answered lately.
_KEPT_SHARE: Final = 1 / 4
#: So many photos of hosts that nobody knows come again a second, where too many wait already.
_STRANGERS_PER_S: Final = 50.0
_STRANGERS_S: Final = 5.0


class Turns:
    """Hosts take turns, one photo each. Used by the thread that fetches."""

    def __init__(self, settings: PhotoLimits, gates: Gates) -> None:
        self._most_unsure = max(1, round(settings.connections * (1 - _KEPT_SHARE)))
        self._gates = gates
        self._waiting: dict[Gate, deque[Errand]] = {}
        #: Hosts with photos that wait and connections to spare; a dict for its order.
        self._startable: dict[Gate, None] = {}
        #: Those of them that our own limits hold back.
        self._held: dict[Gate, None] = {}
        self._unsure = 0  # connections to hosts that have not answered lately
        self._strangers = Returns()
        self.lookups = Lookups()

    def add(self, errand: Errand, now: float) -> None:
        """A photo waits from now on, or ends where its host rests."""
        gate = errand.gate = self._gates.of(errand.host)
        gate.used_at = now
        if not self._let_in(errand, now):
            return
        queue = self._waiting.get(gate)
        if queue is None:
            self._waiting[gate] = deque((errand,))
        else:
            queue.append(errand)
        self._note(gate)

    def next(self, now: float) -> Errand | None:
        """The photo to start, whose connection is in use from here on; None if none may."""
        while self._startable:
            gate = next(iter(self._startable))
            del self._startable[gate]
            queue = self._waiting.get(gate)
            if queue is None:
                continue
            unsure = not gate.moving(now, queue[0].call.deadline_s)
            if not gate.ready(now) or (unsure and self._doubtful(gate)):
                self._held[gate] = None
                continue
            errand = self._pop(gate, queue)
            if not errand.call.cancelled:
                errand.unsure = unsure
                self._unsure += unsure
                gate.begin(now)
                self._note(gate)
                return errand
            self._note(gate)
        return None

    def done(self, errand: Errand) -> None:
        """A photo that was started has ended, and its connection is free again."""
        gate = errand.gate
        gate.connections -= 1
        gate.breaker.probes -= errand.probe
        errand.probe = False
        self._note(gate)
        if errand.unsure:
            errand.unsure = False
            self._unsure -= 1
            if self._held:
                gate = next(iter(self._held))
                del self._held[gate]
                self._note(gate)

    def look(self, now: float) -> None:
        """Gives those another chance that were held back; after `give_up`, which asks why."""
        self.lookups.look(now)
        held, self._held = self._held, {}
        for gate in held:
            self._note(gate)

    def reconsider(self, gate: Gate, now: float) -> None:
        """Sends back the photos that wait for a host that rests, but for those that try it."""
        queue = self._waiting.pop(gate, None)
        if queue is None:
            return
        left = deque(errand for errand in queue if errand.probe or self._let_in(errand, now))
        if left:
            self._waiting[gate] = left
            self._note(gate)

    @property
    def waiting(self) -> Collection[Gate]:
        """The hosts that photos wait for."""
        return self._waiting.keys()

    @property
    def wait_for_us(self) -> bool:
        """Whether photos wait, and not for their hosts."""
        return bool(self._startable)

    def counts(self) -> dict[str, int]:
        """How many photos wait, by host."""
        return {gate.host: len(queue) for gate, queue in self._waiting.items()}

    def give_up(self, now: float) -> None:
        """Ends photos that are too late to start, and those that wait too long for their host.

        Where it is our own limits that hold it back, the photo comes again later.
        """

        def given_up(errand: Errand) -> FetchError | None:
            if errand.call.until is not None and now > errand.call.until:
                return Overdue()
            if now - errand.asked_at <= 2 * errand.call.deadline_s:
                return None
            return self._error(errand, now, "waited for a connection to its host")

        self._end_waiting(given_up)

    def leave(self, calls: set[Call[object]], now: float, detail: str) -> None:
        """Ends what waits of calls that wait no longer for their stragglers."""

        def given_up(errand: Errand) -> FetchError | None:
            return self._error(errand, now, detail) if errand.call in calls else None

        self._end_waiting(given_up)

    def leave_all(self) -> None:
        """Ends all that waits: others have time for it."""
        self._end_waiting(lambda _errand: Overdue())

    def clear(self) -> None:
        """Forgets all photos, those under way included."""
        self._gates.reset()
        self._waiting.clear()
        self._startable.clear()
        self._held.clear()
        self._unsure = 0
        self.lookups.forget()

    def _let_in(self, errand: Errand, now: float) -> bool:
        """Whether a photo may wait for its host; ends it otherwise."""
        breaker = errand.gate.breaker
        if breaker.opening is None:
            return True
        if breaker.admits(now, errand.call.deadline_s):
            errand.probe = True
            breaker.probes += 1
            return True
        gate = errand.gate
        errand.end(
            HostResting(gate.reason, gate.back_s(now), cause=gate.reason, stranger=breaker.stranger)
        )
        return False

    def _doubtful(self, gate: Gate) -> bool:
        """Whether a host that has not answered lately has to wait."""
        return self._unsure >= self._most_unsure or (gate.breaker.stranger and self.lookups.full)

    def _error(self, errand: Errand, now: float, detail: str) -> FetchError | None:
        """What ends a photo that has waited too long; None where it waits for us altogether."""
        gate = errand.gate
        if not (self._gates.resting and (gate in self._held or gate.rationed)):
            return None if gate in self._startable else TooSlow(detail)
        if gate in self._held and gate.breaker.stranger:
            return self._stranger_later(now)
        return Overdue("it is not its turn yet", gate.back_s(now))

    def _stranger_later(self, now: float) -> Overdue:
        later_s = self._strangers.next_s(now, earliest_s=_STRANGERS_S, per_s=_STRANGERS_PER_S)
        return Overdue("too many hosts that nobody knows", later_s)

    def _end_waiting(self, given_up: Callable[[Errand], FetchError | None]) -> None:
        for gate, queue in [*self._waiting.items()]:
            left = deque(self._still_waiting(queue, given_up))
            if left:
                self._waiting[gate] = left
            else:
                del self._waiting[gate]
                self._startable.pop(gate, None)
                self._held.pop(gate, None)

    def _still_waiting(
        self, queue: deque[Errand], given_up: Callable[[Errand], FetchError | None]
    ) -> Iterator[Errand]:
        for errand in queue:
            error = given_up(errand)
            if error is None:
                yield errand
            else:
                self._drop(errand)
                errand.end(error)

    def _drop(self, errand: Errand) -> None:
        """A photo that waits will not be started."""
        errand.gate.breaker.probes -= errand.probe

    def _pop(self, gate: Gate, queue: deque[Errand]) -> Errand:
        errand = queue.popleft()
        if not queue:
            del self._waiting[gate]
        if errand.call.cancelled:
            self._drop(errand)
        return errand

    def _note(self, gate: Gate) -> None:
        if gate in self._waiting and gate.free:
            self._startable[gate] = None
