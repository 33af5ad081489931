"""When a host is asked, and when it is left to rest."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.fetch.fetching import leave_alone
from worker.fetch.breaker import TRIALS, Breaker, Opening, Rules

RULES = Rules(failures=5, rest_s=5, max_rest_s=300, max_named_s=3600)


def _known(*, at: float = 0.0) -> Breaker:
    """The breaker of a host that has answered."""
    breaker = Breaker(RULES)
    breaker.answer(at)
    return breaker


def _fail(breaker: Breaker, now: float, times: int = 1, *, waited_s: float = math.inf) -> bool:
    opened = [breaker.fail(now, began_at=now, waited_s=waited_s) for _ in range(times)]
    return opened[-1]


def _until(breaker: Breaker) -> float:
    assert breaker.opening is not None
    return breaker.opening.until


@pytest.mark.parametrize(("failures", "asked"), [(0, True), (4, True), (5, False), (9, False)])
def test_a_host_rests_after_five_failures_in_a_row(failures: int, *, asked: bool) -> None:
    breaker = _known()
    for _ in range(failures):
        _fail(breaker, 1.0)
    assert breaker.admits(1.0, 2.0) is asked


def test_an_answer_in_between_begins_the_count_anew() -> None:
    breaker = _known()
    for _ in range(10):
        _fail(breaker, 1.0, 4)
        breaker.answer(1.0)
    assert breaker.opening is None


def test_a_host_that_has_never_answered_gets_two_tries() -> None:
    breaker = Breaker(RULES)
    assert breaker.stranger
    assert not _fail(breaker, 1.0)
    assert _fail(breaker, 1.0)
    assert not breaker.admits(1.0, 2.0)


def test_a_photo_that_was_asked_for_before_the_host_last_answered_says_nothing_of_it() -> None:
    breaker = _known(at=10.0)
    for _ in range(20):
        assert not breaker.fail(30.0, began_at=9.0)
    assert breaker.opening is None
    assert _fail(breaker, 30.0, 5), "those asked for since then do"


def test_each_rest_is_twice_as_long_up_to_the_longest() -> None:
    breaker = _known()
    _fail(breaker, 1.0, 5)
    now, rests = 1.0, list[float]()
    for _ in range(9):
        rests.append(_until(breaker) - now)
        now = _until(breaker)
        assert _fail(breaker, now), "one failure is enough once it has rested"
    expected = [5, 10, 20, 40, 80, 160, 300, 300, 300]
    for rest_s, most_s in zip(rests, expected, strict=True):
        assert 0.8 * most_s <= rest_s <= most_s


def test_an_answer_ends_it_and_the_next_rest_is_a_short_one_again() -> None:
    breaker = _known()
    _fail(breaker, 1.0, 5)
    _fail(breaker, _until(breaker))
    now = _until(breaker)
    assert breaker.answer(now)
    assert breaker.admits(now, 2.0)
    assert not breaker.answer(now), "it was closed already"
    assert _fail(breaker, now, 5)
    assert _until(breaker) - now <= 5


def test_once_it_has_rested_two_photos_at_a_time_try_it() -> None:
    breaker = _known()
    _fail(breaker, 1.0, 5)
    now = _until(breaker)
    assert not breaker.admits(now - 0.01, 2.0)
    for _ in range(TRIALS):
        assert breaker.admits(now, 2.0)
        breaker.probes += 1
    assert not breaker.admits(now, 2.0)
    assert breaker.rest_s(now) == pytest.approx(_until(breaker) - 1.0), "the others come later"


def test_failures_while_it_rests_make_no_rest_longer() -> None:
    breaker = _known()
    _fail(breaker, 1.0, 5)
    until = _until(breaker)
    _fail(breaker, 2.0, 60)
    assert _until(breaker) == until


def test_a_host_that_was_only_slow_is_open_to_photos_with_more_patience() -> None:
    breaker = _known()
    _fail(breaker, 3.0, 5, waited_s=2.0)
    assert not breaker.admits(3.0, 2.0)
    assert breaker.admits(3.0, 30.0)
    _fail(breaker, 4.0, waited_s=30.0)
    assert not breaker.admits(4.0, 30.0), "they had no luck either"


def test_a_host_that_also_failed_otherwise_is_open_to_no_patience() -> None:
    breaker = _known()
    _fail(breaker, 3.0, 4, waited_s=2.0)
    _fail(breaker, 3.0)
    assert not breaker.admits(3.0, 30.0)


def test_a_host_rests_for_as_long_as_it_names_itself() -> None:
    breaker = _known()
    assert leave_alone(breaker, 1.0, 60)
    assert not leave_alone(breaker, 1.0, 60), "the other photos under way say the same"
    assert not breaker.answer(2.0), "that was on its way before"
    assert not breaker.admits(60.9, 30.0)
    assert breaker.admits(61.0, 2.0)
    assert breaker.answer(62.0)


def test_one_photo_that_is_to_come_later_shuts_no_host() -> None:
    breaker = _known()
    for now in range(1, 100):
        assert not breaker.fail(now, began_at=now, named_s=3600)
        if now % 4 == 0:
            breaker.answer(now)
    assert breaker.opening is None


def test_a_time_that_only_some_of_the_failures_named_is_not_the_hosts() -> None:
    breaker = _known()
    for named_s in (3600, 3600, 0, 3600, 3600):
        breaker.fail(1.0, began_at=1.0, named_s=named_s)
    assert _until(breaker) <= 6
    breaker = _known()
    for named_s in (3600, 3600, 3600, 20, 3600):
        breaker.fail(1.0, began_at=1.0, named_s=named_s)
    assert _until(breaker) == 21


def test_a_short_time_that_the_host_names_counts_only_at_first() -> None:
    breaker = _known()
    leave_alone(breaker, 1.0, 1)
    assert _until(breaker) == 2
    breaker.fail(2.0, began_at=2.0, named_s=1)
    assert _until(breaker) - 2 >= 8


def test_a_host_that_answers_all_the_same_is_asked_again_before_the_time_it_named() -> None:
    breaker = _known()
    leave_alone(breaker, 1.0, 3600)
    assert [breaker.answer(2.0) for _ in range(5)] == [False] * 4 + [True]
    assert breaker.admits(2.0, 2.0)


@pytest.mark.parametrize("seconds", [3601, 86_400, 1e300])
def test_a_time_that_the_host_names_is_bounded(seconds: float) -> None:
    breaker = _known()
    leave_alone(breaker, 0.0, seconds)
    assert _until(breaker) == 3600


def test_without_a_number_of_failures_no_host_rests() -> None:
    breaker = Breaker(Rules(failures=0, rest_s=5, max_rest_s=300, max_named_s=3600))
    assert not _fail(breaker, 1.0, 100)
    assert not leave_alone(breaker, 1.0, 60)
    breaker.learn(1.0, _opening(1.0, 60.0), -math.inf)
    assert breaker.admits(1.0, 2.0)


# What others saw


def _opening(at: float, until: float) -> Opening:
    return Opening(at, until, 1, patience_s=math.inf)


def test_a_host_rests_for_all_and_those_who_heard_of_it_try_it_last() -> None:
    breaker = _known()
    assert breaker.learn(2.0, _opening(1.0, 7.0), 0.0)
    assert not breaker.admits(7.5, 2.0), "the first try is for who saw it"
    assert breaker.admits(11.0, 2.0)


def test_what_others_saw_before_the_host_answered_us_does_not_count() -> None:
    breaker = _known(at=2.5)
    assert not breaker.learn(3.0, _opening(1.0, 7.0), 0.0)
    assert breaker.admits(3.0, 2.0)


def test_an_answer_to_others_ends_the_rest_that_others_saw() -> None:
    breaker = _known()
    breaker.learn(2.0, _opening(1.0, 7.0), 0.0)
    assert not breaker.learn(2.5, None, 1.9), "that was before, and a little late in coming"
    assert breaker.learn(3.0, None, 2.1)
    assert breaker.admits(3.0, 2.0)
    assert breaker.rest_s(3.0) == 0


def test_an_answer_to_others_lets_us_try_a_host_that_failed_us_and_no_more_than_that() -> None:
    breaker = _known()
    _fail(breaker, 1.0, 5)
    _fail(breaker, _until(breaker))
    opening = breaker.opening
    assert opening is not None
    breaker.learn(opening.at + 4.9, None, opening.at + 4)
    assert breaker.opening == opening, "it has only just tried"
    now = opening.at + 5
    assert now < opening.until
    assert not breaker.admits(now, 2.0)
    assert not breaker.learn(now, None, now - 0.5)
    breaker.probes = TRIALS - 1
    assert breaker.admits(now, 2.0)
    breaker.probes = TRIALS
    assert not breaker.admits(now, 2.0), "it is half-open"
    assert _fail(breaker, now), "and one failure is enough"
    assert breaker.answer(now + 1)
    assert breaker.admits(now + 1, 2.0)


def test_a_process_that_is_cut_off_leaves_its_hosts_whatever_others_are_answered() -> None:
    breaker, asked, now = _known(), 0, 1.0
    while now < 601:
        breaker.learn(now, None, now - 0.2)
        for _ in range(50):  # photos that wait for it
            if breaker.admits(now, 2.0):
                asked += 1
                breaker.fail(now, began_at=now - 2.0)  # in vain, and others were answered since
        now += 1
    assert asked <= 5 + 2 * TRIALS * 600 / 5


def test_an_answer_to_others_does_not_end_what_the_host_told_us() -> None:
    breaker = _known()
    leave_alone(breaker, 1.0, 60)
    assert not breaker.learn(10.0, None, 9.5)
    assert not breaker.admits(10.0, 2.0)
    breaker.learn(61.0, None, 60.5)
    assert breaker.admits(61.0, 2.0)


def test_others_word_is_taken_once_until_the_host_was_tried() -> None:
    breaker = _known()
    now, opened = 2.0, list[bool]()
    for _ in range(20):  # as who writes to the board without end might
        opened.append(breaker.learn(now, _opening(now, now + 60), 0.0))
        now += 30
    assert opened == [True] + [False] * 19
    assert breaker.admits(now, 2.0)
    _fail(breaker, now)
    assert not breaker.admits(now, 2.0)
    until = _until(breaker)
    breaker.learn(now, _opening(now, now + 60), 0.0)
    assert _until(breaker) > until, "the next is heard"


def test_our_own_word_that_comes_back_changes_nothing() -> None:
    breaker = _known()
    _fail(breaker, 1.0, 5)
    until = _until(breaker)
    assert not breaker.learn(1.2, _opening(1.1, until + 0.1), 0.1)
    assert breaker.admits(until, 2.0), "and leaves the first try to us"


def test_who_was_answered_is_no_stranger_to_others() -> None:
    breaker = Breaker(RULES)
    breaker.learn(2.0, None, 1.0)
    assert not breaker.stranger


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["answer", "fail", "slow", "tell", "learn", "heal"]),
        st.floats(0, 400),  # how much later
        st.floats(0, 40),  # how long it took
    ),
    max_size=60,
)


@given(_EVENTS)
def test_whatever_happens_a_rest_is_bounded_and_ends(
    events: list[tuple[str, float, float]],
) -> None:
    breaker, now = Breaker(RULES), 1000.0
    for kind, later_s, took_s in events:
        now += later_s
        if kind == "answer":
            breaker.answer(now)
        elif kind == "tell":
            leave_alone(breaker, now, took_s * 1000)
        elif kind == "learn":
            breaker.learn(now, _opening(now - took_s, now + took_s), -math.inf)
        elif kind == "heal":
            breaker.learn(now, None, now - took_s)
        else:
            waited_s = took_s if kind == "slow" else math.inf
            breaker.fail(now, began_at=now - took_s, waited_s=waited_s)
        rest_s = breaker.rest_s(now)
        assert 0 <= rest_s <= RULES.max_named_s + 4
        assert breaker.admits(now + rest_s + 5, 2.0), "a rest ends"
        if breaker.opening is None:
            assert rest_s == 0
            assert breaker.admits(now, 2.0)
