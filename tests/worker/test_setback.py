"""What a photo's error costs it."""

import pytest

from shared.db.photos import Claim
from shared.domain.photo import Lane, Status
from shared.errors import HostResting, Overdue, TooSlow, Unreachable
from shared.settings import Settings
from worker.setback import Setback

DAY_S = 86_400.0


def _claim(*, attempt: int = 1, resting_s: float = 0) -> Claim:
    return Claim(1, 2, "http://photos.test/p", Lane.TAGGING, attempt, 3, resting_s)


@pytest.fixture
def setback(settings: Settings) -> Setback:
    return Setback(settings)


@pytest.mark.parametrize("resting_s", [0, 2 * DAY_S])
def test_what_our_own_limits_hold_back_never_costs_an_attempt(
    setback: Setback, resting_s: float
) -> None:
    settled = setback.settle(_claim(attempt=5, resting_s=resting_s), Overdue("", 30))
    assert (settled.status, settled.attempt, settled.due_in_s) == (Status.PENDING, 4, 30)


def test_a_host_that_rests_costs_no_attempt_until_the_photo_has_waited_too_long(
    setback: Setback,
) -> None:
    settled = setback.settle(_claim(attempt=5, resting_s=DAY_S - 1), HostResting("", 7200))
    assert (settled.status, settled.attempt, settled.due_in_s) == (Status.PENDING, 4, 7200)
    settled = setback.settle(_claim(attempt=4, resting_s=DAY_S + 1), HostResting("", 60))
    assert (settled.status, settled.attempt) == (Status.PENDING, 4)
    last = _claim(attempt=5, resting_s=DAY_S + 1)
    settled = setback.settle(last, HostResting("", 60, cause="unreachable"))
    assert (settled.status, settled.error_code) == (Status.FAILED, "unreachable")


def test_a_host_that_never_answered_anybody_is_waited_for_minutes_alone(setback: Setback) -> None:
    stranger = HostResting("", 60, cause="unresolvable", stranger=True)
    settled = setback.settle(_claim(attempt=5, resting_s=899), stranger)
    assert (settled.status, settled.attempt) == (Status.PENDING, 4)
    settled = setback.settle(_claim(attempt=5, resting_s=901), stranger)
    assert (settled.status, settled.error_code) == (Status.FAILED, "unresolvable")


@pytest.mark.parametrize(("resting_s", "away_s"), [(0, 5), (1000, 100), (80_000, 3600)])
def test_the_longer_its_host_rests_the_more_rarely_a_photo_asks(
    setback: Setback, resting_s: float, away_s: float
) -> None:
    assert setback.settle(_claim(resting_s=resting_s), HostResting("", 5)).due_in_s == away_s


def test_its_own_trouble_costs_an_attempt(setback: Setback) -> None:
    settled = setback.settle(_claim(attempt=2), Unreachable("a\0b"), alone=True)
    assert (settled.attempt, settled.error_detail, settled.alone) == (2, "ab", True)
    assert setback.settle(_claim(attempt=5), Unreachable()).status == Status.FAILED


def test_what_was_too_slow_goes_to_the_slow_lane_at_once(setback: Setback) -> None:
    settled = setback.settle(_claim(), TooSlow())
    assert (settled.lane, settled.due_in_s) == (Lane.SLOW, 0)
