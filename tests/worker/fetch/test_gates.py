"""What a process remembers of many hosts, and what of it goes to the fleet."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from shared.errors import (
    BadResponse,
    BadUrl,
    BlockedAddress,
    FetchError,
    Forbidden,
    HostResting,
    NotFound,
    OriginUnavailable,
    Overdue,
    RateLimited,
    TlsFailed,
    TooLarge,
    TooManyRedirects,
    TooSlow,
    Truncated,
    Unreachable,
    Unresolvable,
)
from shared.settings import Settings
from tests.worker.fetch.fetching import leave_alone, make_settings
from worker.fetch.gates import MAX_HOSTS, Gates
from worker.fetch.notices import Notice, NoticeBoard


def _gates(**changes: object) -> Gates:
    return Gates(make_settings(80, **changes), resting=True)


def _rests_after(error: FetchError, times: int = 9) -> bool:
    gates = _gates()
    gate = gates.of("http://photos.test")
    gates.answered(gate, 1.0, 0.1)
    for _ in range(times):
        gates.failed(gate, error, 5.0, began_at=3.0, deadline_s=2.0)
    return gate.breaker.opening is not None


@pytest.mark.parametrize(
    "error", [OriginUnavailable(), RateLimited(), Unreachable(), Unresolvable(), TlsFailed(),
              TooSlow(), Truncated()],
)  # fmt: skip
def test_these_say_that_the_host_is_in_trouble(error: FetchError) -> None:
    assert _rests_after(error)
    assert not _rests_after(error, times=4)


@pytest.mark.parametrize(
    "error", [NotFound(), Forbidden(), BadResponse(), TooLarge(), BadUrl(), BlockedAddress(),
              TooManyRedirects(), HostResting(), Overdue()],
)  # fmt: skip
def test_these_do_not(error: FetchError) -> None:
    assert not _rests_after(error)


@pytest.mark.parametrize("named_s", [0, 30, 86_400])
def test_one_word_of_the_host_itself_binds_that_photo_only(named_s: float) -> None:
    error = RateLimited("", named_s)
    assert not _rests_after(error, times=4)
    assert _rests_after(error, times=5)


@pytest.mark.parametrize("resting", [True, False])
def test_a_photo_pays_nothing_for_a_time_that_its_host_named(*, resting: bool) -> None:
    gates = Gates(make_settings(80), resting=resting)
    gate = gates.of("http://photos.test")
    error = RateLimited("", 60)
    verdict = gates.verdict(gate, error, 1.0, deadline_s=2.0)
    assert isinstance(verdict, HostResting) is resting
    assert verdict is error or (isinstance(verdict, HostResting) and verdict.retry_after_s == 60)


@pytest.mark.parametrize(
    ("error", "deadline_s", "blamed"),
    [
        (OriginUnavailable("HTTP 503"), 2, True),
        (NotFound(), 2, False),
        (TooSlow(), 2, False),  # the slow lane waits longer
        (TooSlow(), 30, True),
    ],
)
def test_a_photo_is_not_to_blame_for_a_host_that_rests(
    error: FetchError, deadline_s: float, *, blamed: bool
) -> None:
    gates = _gates()
    gate = gates.of("http://photos.test")
    assert gates.verdict(gate, error, 1.0, deadline_s=deadline_s) is error
    leave_alone(gate.breaker, 1.0, 60)
    verdict = gates.verdict(gate, error, 1.0, deadline_s=deadline_s)
    assert isinstance(verdict, HostResting) is blamed
    if isinstance(verdict, HostResting):
        assert (verdict.retry_after_s or 0) >= 60
        assert error.code in verdict.detail


def test_a_photo_comes_back_no_earlier_than_it_was_told_to() -> None:
    gates = _gates()
    gate = gates.of("http://photos.test")
    leave_alone(gate.breaker, 1.0, 5)
    for told_s, seconds in ((1000, 1000), (50_000, 3600)):  # an hour at most, as its host
        verdict = gates.verdict(gate, RateLimited("", told_s), 1.0, deadline_s=2.0)
        assert isinstance(verdict, HostResting)
        assert verdict.retry_after_s == seconds


def test_hosts_without_number_take_bounded_memory_and_those_in_use_stay() -> None:
    gates = _gates()
    busy = gates.of("http://busy.test")
    busy.begin(0.0)
    awaited = gates.of("http://awaited.test")
    for number in range(3 * MAX_HOSTS):
        gates.of(f"http://host{number}.test").used_at = number
        if number % 1000 == 0:
            gates.look(float(number), {awaited: None})
    newest = gates.of(f"http://host{3 * MAX_HOSTS - 1}.test")
    gates.look(1e9, {awaited: None})
    assert gates.of("http://busy.test") is busy
    assert gates.of("http://awaited.test") is awaited
    assert gates.of(newest.host) is newest
    assert gates.of("http://host1.test").used_at == 0, "it was forgotten"


def test_a_change_is_told_once() -> None:
    gates = _gates()
    gate = gates.of("http://photos.test")
    with capture_logs() as logs:
        now = 1.0
        for _ in range(6):  # it fails each time it is tried again
            for _ in range(50):
                gates.failed(gate, Unreachable(), now, began_at=now, deadline_s=2.0)
            now += gate.breaker.rest_s(now) + 5
        for _ in range(50):
            gates.answered(gate, now, 0.1)
    assert [line["event"] for line in logs] == ["host.rests", "host.answers"]
    assert logs[0]["reason"] == "unreachable"


def test_all_hosts_are_posted_in_turn_and_a_change_at_once(settings: Settings) -> None:
    board = NoticeBoard(settings)
    gates = Gates(make_settings(80), board, resting=True)
    hosts = [gates.of(f"http://host{n}.test") for n in range(400)]
    reader = NoticeBoard(settings)
    deadline = time.monotonic() + 60
    for host in hosts:
        host.connections = 1  # in use
    while any(host.processes == 1 for host in hosts):
        # Who else has work for them is learned from the board, host by host.
        for start in range(0, 400, 100):
            reader.exchange([_ask(host.host) for host in hosts[start : start + 100]])
        gates.look(time.monotonic())
        assert time.monotonic() < deadline
        time.sleep(0.1)
    now = time.monotonic()
    for _ in range(5):
        gates.failed(hosts[7], RateLimited("", 30), now, began_at=now, deadline_s=2.0)
    gates.look(now)
    while reader.exchange([_ask(hosts[7].host)])[0].opening is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    board.close()


def _ask(host: str) -> Notice:
    return Notice(host, None, -math.inf)


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=30))
def test_each_host_has_one_gate(names: list[str]) -> None:
    gates = _gates()
    assert len({id(gates.of(name)) for name in names}) == len(set(names))
