"""Which photo starts next, and what is left of those that ended."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import FetchError, HostResting, Overdue, TooSlow
from tests.worker.fetch.fetching import leave_alone, make_settings
from worker.fetch.breaker import TRIALS
from worker.fetch.call import Call, Errand
from worker.fetch.gates import Gates
from worker.fetch.turns import Turns


class _Queue:
    """Turns, with calls that remember what came of their photos."""

    def __init__(self, *known: str, resting: bool = True, **changes: Any) -> None:
        settings = make_settings(80, **changes)
        self.gates = Gates(settings, resting=resting)
        self.turns = Turns(settings, self.gates)
        for host in known:
            self.gates.of(host).answer(0.0, 0.1)

    def add(
        self, *hosts: str, deadline_s: float = 2.0, now: float = 1.0, until: float | None = None
    ) -> Call[object]:
        call: Call[object] = Call(
            len(hosts), deadline_s=deadline_s, stragglers_s=0.5, until=until, quick=None, now=now
        )
        for place, host in enumerate(hosts):
            call.expect()
            self.turns.add(Errand(call, place, host, f"{host}/p", now), now)
        return call

    def start(self, now: float = 1.0, most: int = 1000) -> list[Errand]:
        started: list[Errand] = []
        while len(started) < most and (errand := self.turns.next(now)) is not None:
            started.append(errand)
        return started


def _hosts(errands: list[Errand]) -> list[str]:
    return [errand.host for errand in errands]


def _kinds(call: Call[object]) -> list[type]:
    return [type(result) for result in call.results]


def test_hosts_take_turns() -> None:
    queue = _Queue("a", "b", "c")
    queue.add(*"aaabbc")
    assert _hosts(queue.start()) == ["a", "b", "c", "a", "b", "a"]


def test_a_host_has_so_many_connections_and_gets_another_as_one_ends() -> None:
    queue = _Queue("a", connections_per_host=2)
    queue.add(*"aaaa")
    first, second = queue.start()
    assert queue.start() == []
    queue.turns.done(first)
    [third] = queue.start()
    assert [first.place, second.place, third.place] == [0, 1, 2]


def test_hosts_that_have_not_answered_lately_leave_a_fourth_of_the_connections() -> None:
    queue = _Queue("new", connections=8, connections_per_host=8)
    for host in "abc":
        queue.gates.of(host).answer(-100.0, 0.1)
    queue.add(*"abc" * 8)
    started = queue.start()
    assert len(started) == 6
    queue.add("new")
    assert _hosts(queue.start()) == ["new"]
    queue.turns.done(started[0])
    assert len(queue.start()) == 1, "who waited for it gets the place of one that ended"


def test_photos_of_a_host_that_rests_end_at_once_but_for_those_that_try_it() -> None:
    queue = _Queue("a")
    call = queue.add(*["a"] * 10)
    gate = queue.gates.of("a")
    leave_alone(gate.breaker, 1.0, 60)
    queue.turns.reconsider(gate, 1.0)
    assert _kinds(call) == [HostResting] * 10
    assert _kinds(queue.add(*["a"] * 10, now=2.0)) == [HostResting] * 10
    later = queue.add(*["a"] * 10, now=61.0)
    assert _kinds(later).count(HostResting) == 10 - TRIALS
    assert len(queue.start(61.0)) == TRIALS


def test_a_try_that_never_started_leaves_its_place_to_another() -> None:
    queue = _Queue("a")
    leave_alone(queue.gates.of("a").breaker, 1.0, 10)
    given_up = queue.add(*["a"] * TRIALS, now=20.0, until=21.0)
    queue.turns.give_up(22.0)
    assert _kinds(given_up) == [Overdue] * TRIALS
    cancelled = queue.add(*["a"] * TRIALS, now=23.0)
    cancelled.cancelled = True
    assert queue.start(23.0) == []
    queue.add("a", now=24.0)
    assert len(queue.start(24.0)) == 1


@pytest.mark.parametrize(
    ("changes", "known", "error"),
    [
        ({"connections_per_host": 1}, True, TooSlow),
        ({"connections_per_host": 1}, False, TooSlow),
        ({}, False, Overdue),  # more might have been started of one that is known
        ({"fleet_connections_per_host": 1}, True, Overdue),
        ({"host_photos_per_s": 0.1}, True, Overdue),
        ({"resting": False}, False, TooSlow),  # for who cannot come back
        ({"resting": False, "host_photos_per_s": 0.1}, True, TooSlow),
    ],
)
def test_who_waits_too_long_for_us_comes_again_and_who_waits_for_the_host_is_too_slow(
    changes: dict[str, Any], error: type[FetchError], *, known: bool
) -> None:
    queue = _Queue(*("a" if known else ""), **changes)
    call = queue.add(*["a"] * 5)
    started = queue.start()
    assert 0 < len(started) < 5
    queue.turns.give_up(4.9)
    assert not any(call.results)
    queue.turns.give_up(5.1)
    waited = _kinds(call)
    assert waited.count(error) == 5 - len(started)
    assert all(one.again_s >= 5 for one in call.results if isinstance(one, Overdue))


def test_a_photo_that_is_redirected_takes_its_turn_at_the_next_host() -> None:
    queue = _Queue("a", "b", connections_per_host=2)
    queue.add(*"aabb")
    at_a = [errand for errand in queue.start() if errand.host == "a"]
    for errand in at_a:
        queue.turns.done(errand)
        errand.host = "b"
        queue.turns.add(errand, 9.0)
    assert queue.start() == [], "b has all that it may"
    a, b = queue.gates.of("a"), queue.gates.of("b")
    assert (a.connections, b.connections, b.used_at) == (0, 2, 9.0)
    assert queue.turns.waiting == {b}


def test_a_photo_that_is_redirected_leaves_its_try_to_another() -> None:
    queue = _Queue("a", "b", "c")
    a, b = queue.gates.of("a"), queue.gates.of("b")
    for gate in (a, b):
        leave_alone(gate.breaker, 1.0, 10)
    queue.add("a", now=20.0)
    [errand] = queue.start(20.0)
    assert (a.breaker.probes, b.breaker.probes) == (1, 0)
    queue.turns.done(errand)
    errand.host = "b"
    queue.turns.add(errand, 21.0)
    assert (a.breaker.probes, b.breaker.probes) == (0, 1)
    [errand] = queue.start(21.0)
    queue.turns.done(errand)
    errand.host = "c"  # which is no try
    queue.turns.add(errand, 22.0)
    [errand] = queue.start(22.0)
    queue.turns.done(errand)
    probes = [queue.gates.of(host).breaker.probes for host in "abc"]
    assert probes == [0, 0, 0]


def test_who_waits_for_a_connection_of_the_process_goes_on_waiting() -> None:
    queue = _Queue("a")
    call = queue.add(*["a"] * 5)
    queue.start(most=1)
    queue.turns.give_up(1e6)
    assert not any(call.results)


class _Busy(_Queue):
    """A queue, and the photos of it that are under way."""

    def __init__(self) -> None:
        super().__init__("host0", connections=6, connections_per_host=3, host_rest_s=1)
        self.calls: list[Call[object]] = []
        self.running: list[Errand] = []

    def step(self, kind: str, number: int, now: float) -> None:
        if kind == "add":
            self.calls.append(self.add(*[f"host{number}"] * 4, now=now))
        elif kind == "start":
            self.running += self.start(now, most=6 - len(self.running))
        elif kind == "cancel" and self.calls:
            self.calls[number % len(self.calls)].cancelled = True
        elif kind == "look":
            self.turns.look(now)
        elif kind == "late":
            self.turns.give_up(now)
        elif self.running:
            self.end(self.running.pop(number % len(self.running)), kind, now)

    def end(self, errand: Errand, kind: str, now: float) -> None:
        self.turns.done(errand)
        if kind == "fail" and errand.gate.breaker.fail(now, began_at=now):
            self.turns.reconsider(errand.gate, now)
        if kind == "answer":
            errand.gate.answer(now, 0.1)
        errand.end(TooSlow())

    def counts(self) -> list[tuple[int, int]]:
        """Connections and tries of each host."""
        gates = [self.gates.of(f"host{number}") for number in range(5)]
        return [(gate.connections, gate.breaker.probes) for gate in gates]


_KINDS = ["add", "start", "done", "fail", "answer", "cancel", "look", "late"]


@given(
    st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(0, 4), st.floats(0, 3)), max_size=80)
)
def test_whatever_happens_everything_that_was_taken_is_given_back(
    steps: list[tuple[str, int, float]],
) -> None:
    queue, now = _Busy(), 1.0
    for kind, number, later_s in steps:
        now += later_s
        queue.step(kind, number, now)
        assert all(0 <= used <= 3 and 0 <= tries <= TRIALS for used, tries in queue.counts())
    for _ in range(200):
        now += 100
        for errand in [*queue.running, *queue.start(now)]:
            queue.end(errand, "done", now)
        queue.running.clear()
        queue.turns.look(now)
    assert queue.turns.counts() == {}
    assert queue.counts() == [(0, 0)] * 5
    assert all(call.cancelled or call.ended for call in queue.calls)
