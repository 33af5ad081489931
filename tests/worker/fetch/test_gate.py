"""How many at once and how often a process asks one host."""

import pytest

from tests.worker.fetch.fetching import leave_alone, make_settings
from worker.fetch.gate import Gate, Limits


def _gate(*, processes: int = 1, known: bool = True, **changes: object) -> Gate:
    limits = Limits.of(make_settings(80, **changes), resting=True)
    gate = Gate("http://photos.test", limits, processes=processes)
    if known:
        gate.answer(0.0, 0.1)
    return gate


def _fill(gate: Gate, now: float = 1.0) -> int:
    """How many connections may be in use at once."""
    while gate.free:
        gate.begin(now)
    return gate.connections


@pytest.mark.parametrize(
    ("fleet", "processes", "share"),
    [(None, 4, 64), (40, 1, 40), (40, 4, 10), (40, 7, 5), (40, 100, 1), (1000, 4, 64)],
)
def test_a_process_has_its_share_of_the_fleets_connections(
    fleet: int | None, processes: int, share: int
) -> None:
    assert _fill(_gate(processes=processes, fleet_connections_per_host=fleet)) == share


def test_a_host_that_has_never_answered_gets_two() -> None:
    assert _fill(_gate(known=False)) == 2
    assert _fill(_gate(known=False, connections_per_host=1)) == 1


@pytest.mark.parametrize(("per_s", "processes"), [(10, 1), (10, 5), (0.5, 1), (1000, 2)])
def test_a_process_has_its_share_of_the_fleets_pace(per_s: float, processes: int) -> None:
    gate = _gate(processes=processes, host_photos_per_s=per_s, connections_per_host=10**6)
    started = 0
    for tick in range(1000):  # 100 s, looked at ten times a second
        while gate.ready(tick / 10):
            gate.begin(tick / 10)
            started += 1
    # What it may be late is made up for at the start once, and no more.
    assert started == pytest.approx(100 * per_s / processes, rel=0.02, abs=2)


def test_a_pace_is_by_the_processes_that_there_are_and_not_by_those_there_were() -> None:
    gate = _gate(host_photos_per_s=1)
    gate.processes = 1000
    gate.begin(10.0)
    assert not gate.ready(100.0)
    gate.processes = 2
    assert gate.ready(12.0)


def test_photos_of_a_host_that_rests_come_again_when_it_is_over() -> None:
    gate = _gate()
    leave_alone(gate.breaker, 10.0, 60)
    assert gate.back_s(10.0) >= 60
    assert gate.back_s(69.0) >= 1


@pytest.mark.parametrize("processes", [1, 4, 50])
def test_photos_of_a_host_that_is_down_come_again_at_a_pace_of_the_whole_fleet(
    processes: int,
) -> None:
    gate = _gate(processes=processes)
    leave_alone(gate.breaker, 10.0, 5)
    times = [gate.back_s(10.0) for _ in range(10_000 // processes)]
    assert 5 + 95 < max(times) < 5 + 105


def test_photos_that_have_to_wait_for_the_pace_come_again_at_the_pace() -> None:
    gate = _gate(host_photos_per_s=2)
    times = sorted(gate.back_s(10.0) for _ in range(200))
    assert 95 < times[-1] < 110


def test_photos_that_have_to_wait_for_the_share_come_again_at_its_pace() -> None:
    gate = _gate(fleet_connections_per_host=1)
    for _ in range(200):
        gate.answer(1.0, 0.5)  # two a second
    times = sorted(gate.back_s(10.0) for _ in range(200))
    assert 90 < times[-1] < 115


def test_once_it_answers_again_nobody_queues_behind_those_who_were_sent_away() -> None:
    gate = _gate()
    leave_alone(gate.breaker, 10.0, 60)
    for _ in range(100_000):
        gate.back_s(10.0)
    gate.answer(71.0, 0.1)
    assert gate.back_s(71.0) < 10
