"""The gates of all hosts that a process knows, and what it and the fleet tell one another."""

from collections.abc import Collection, Iterable
from typing import Final

import structlog

from shared.errors import (
    BadUrl,
    BlockedAddress,
    BlockedHost,
    FetchError,
    HostResting,
    Overdue,
    RetryAfter,
    TlsFailed,
    TooManyRedirects,
    TooSlow,
    Truncated,
    Unreachable,
    Unresolvable,
)
from shared.settings import PhotoLimits
from worker.fetch.gate import Gate, Limits
from worker.fetch.notices import Known, Notice, NoticeBoard

log = structlog.get_logger()

#: Hosts are named by whoever lists photos: there may be any number of them.
MAX_HOSTS: Final = 10_000
#: What is said and asked at a time; the others follow a second later.
_MAX_NOTICES: Final = 128
_EVERY_S: Final = 1.0

#: These say that the host is in trouble.
_TROUBLE: Final = (Unreachable, Unresolvable, TlsFailed, Truncated)
#: These say nothing of the host that was asked last.
_NOT_ITS_OWN: Final = (BadUrl, BlockedAddress, BlockedHost, TooManyRedirects, HostResting, Overdue)


class Gates:
    """Used by one thread; only the board is shared with others."""

    def __init__(
        self, settings: PhotoLimits, board: NoticeBoard | None = None, *, resting: bool
    ) -> None:
        """Knows no host yet.

        Args:
            settings: the limits.
            board: where the fleet shares what it sees; None for a process by itself.
            resting: whether hosts in trouble are left alone, and photos come again that were not
                tried for our own limits.
        """
        self.resting = resting
        self._limits = Limits.of(settings, resting=resting)
        self._most_patience_s = settings.slow_fetch_deadline_s
        self._board = board
        self._gates: dict[str, Gate] = {}
        self._posted_at: dict[str, float] = {}
        self._changed: dict[str, None] = {}  # since the last post
        self._next_post = 0.0
        self._processes = 1  # with work for a host of which nobody has told us yet

    def of(self, host: str) -> Gate:
        """The gate of a host as `check_url` writes it: scheme, name and port."""
        gate = self._gates.get(host)
        if gate is None:
            gate = self._gates[host] = Gate(host, self._limits, processes=self._processes)
        return gate

    def answered(self, gate: Gate, now: float, latency_s: float) -> None:
        """A host has answered, whatever its answer."""
        if gate.answer(now, latency_s):
            self._changed[gate.host] = None
            log.info("host.answers", host=gate.host)

    def failed(
        self, gate: Gate, error: FetchError, now: float, *, began_at: float, deadline_s: float
    ) -> bool:
        """A photo that a host was asked for came to nothing; True if it is left to rest now."""
        breaker = gate.breaker
        if isinstance(error, _NOT_ITS_OWN):
            return False
        if isinstance(error, RetryAfter):
            opens = breaker.fail(now, began_at=began_at, named_s=error.retry_after_s or 0)
        elif isinstance(error, TooSlow):
            opens = breaker.fail(now, began_at=began_at, waited_s=deadline_s)
        elif isinstance(error, _TROUBLE):
            opens = breaker.fail(now, began_at=began_at)
        else:
            self.answered(gate, now, now - began_at)
            return False
        if opens:
            self._note_opening(gate, now, error.code)
        return opens

    def verdict(
        self, gate: Gate, error: FetchError, now: float, *, deadline_s: float
    ) -> FetchError:
        """What a photo ends with: where its host rests, that is why, and none of its own fault.

        The same where the host only wants this photo to be asked for later.
        """
        if isinstance(error, HostResting):
            return error
        named_s = (error.retry_after_s or 0.0) if isinstance(error, RetryAfter) else 0.0
        if gate.breaker.opening is None and not (named_s and self.resting):
            return error
        if not isinstance(error, (RetryAfter, TooSlow, *_TROUBLE)):
            return error
        if isinstance(error, TooSlow) and deadline_s < self._most_patience_s:
            return error  # it may have more luck where photos are waited for longer
        named_s = min(named_s, self._limits.rules.max_named_s)
        return HostResting(
            f"{error.code}: {error.detail}",
            max(gate.back_s(now), named_s),
            cause=error.code,
            stranger=gate.breaker.stranger,
        )

    def look(self, now: float, waiting: Collection[Gate] = ()) -> list[Gate]:
        """Reads and writes the board where it is time; returns hosts that rest or end their rest.

        Also forgets the hosts that nobody has asked for in the longest time, but for those that
        photos are `waiting` for.
        """
        if len(self._gates) > MAX_HOSTS:
            self._forget(waiting)
        if self._board is None:
            return []
        changed = [gate for known in self._board.read() if (gate := self._learn(known, now))]
        if now >= self._next_post or self._changed:
            self._post(self._board, now)
        return changed

    def reset(self) -> None:
        """No photo is under way any more."""
        for gate in self._gates.values():
            gate.connections = gate.breaker.probes = 0

    def _learn(self, known: Known, now: float) -> Gate | None:
        gate = self._gates.get(known.host)
        if gate is None:
            return None
        self._processes = gate.processes = known.processes
        if not gate.breaker.learn(now, known.opening, known.answered_at):
            return None
        if gate.breaker.opening is None:
            log.info("host.answers", host=gate.host, others=True)
        else:
            self._note_opening(gate, now, "")
        return gate

    def _note_opening(self, gate: Gate, now: float, reason: str) -> None:
        gate.reason = reason
        self._changed[gate.host] = None
        opening = gate.breaker.opening
        # A host that stays away opens again and again; that is one change, not many.
        if opening is not None and opening.level == 1:
            seconds = round(opening.until - now, 1)
            log.warning(
                "host.rests", host=gate.host, seconds=seconds, reason=reason or "seen by others"
            )

    def _post(self, board: NoticeBoard, now: float) -> None:
        since = self._next_post - _EVERY_S
        used = (
            host for host, gate in self._gates.items() if gate.connections or gate.used_at >= since
        )
        by_age = sorted(used, key=lambda host: self._posted_at.get(host, 0.0))
        hosts = [*dict.fromkeys([*self._changed, *by_age])][:_MAX_NOTICES]
        self._changed.clear()
        self._next_post = now + _EVERY_S
        self._posted_at.update(dict.fromkeys(hosts, now))
        board.post([_notice(self._gates[host]) for host in hosts if host in self._gates])

    def _forget(self, waiting: Collection[Gate]) -> None:
        """Down to three quarters, so that it need not be done for each new host."""
        idle = (
            gate for gate in self._gates.values() if not gate.connections and gate not in waiting
        )
        by_age = sorted(idle, key=lambda gate: gate.used_at)
        self._drop(gate.host for gate in by_age[: len(self._gates) - MAX_HOSTS * 3 // 4])

    def _drop(self, hosts: Iterable[str]) -> None:
        for host in hosts:
            del self._gates[host]
            self._posted_at.pop(host, None)


def _notice(gate: Gate) -> Notice:
    return Notice(gate.host, gate.breaker.opening, gate.breaker.answered_us_at)
