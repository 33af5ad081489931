"""When a host is asked, and when it is left to rest."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.fetch.breaker import TRIALS, Breaker, Opening, Rules

RULES = Rules(failures=5, rest_s=5, max_rest_s=300, max_told_s=3600)


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


def test_a_time_that_the_host_names_counts_at_once_and_whatever_it_answers_meanwhile() -> None:
    breaker = _known()
    assert breaker.tell(1.0, 60)
    assert not breaker.tell(1.0, 60), "the other photos under way say the same"
    assert not breaker.answer(2.0)
    assert not breaker.admits(60.9, 30.0)
    assert breaker.admits(61.0, 2.0)
    assert breaker.answer(62.0)


@pytest.mark.parametrize("seconds", [3601, 86_400, 1e300])
def test_a_time_that_the_host_names_is_bounded(seconds: float) -> None:
    breaker = _known()
    breaker.tell(0.0, seconds)
    assert _until(breaker) == 3600


def test_without_a_number_of_failures_no_host_rests() -> None:
    breaker = Breaker(Rules(failures=0, rest_s=5, max_rest_s=300, max_told_s=3600))
    assert not _fail(breaker, 1.0, 100)
    assert not breaker.tell(1.0, 60)
    breaker.learn(1.0, Opening(1.0, 60.0, 1, told=True, patience_s=math.inf), -math.inf)
    assert breaker.admits(1.0, 2.0)


# What others saw


def _opening(at: float, until: float, *, told: bool = False) -> Opening:
    return Opening(at, until, 1, told=told, patience_s=math.inf)


def test_a_host_rests_for_all_and_those_who_heard_of_it_try_it_last() -> None:
    breaker = _known()
    assert breaker.learn(2.0, _opening(1.0, 7.0), 0.0)
    assert not breaker.admits(7.5, 2.0), "the first try is for who saw it"
    assert breaker.admits(11.0, 2.0)


def test_what_others_saw_before_the_host_answered_us_does_not_count() -> None:
    breaker = _known(at=1.5)
    assert not breaker.learn(2.0, _opening(1.0, 7.0), 0.0)
    assert breaker.admits(2.0, 2.0)


def test_what_the_host_told_others_counts_whatever_it_answered_us() -> None:
    breaker = _known(at=1.5)
    assert breaker.learn(2.0, _opening(1.0, 7.0, told=True), 1.5)
    assert not breaker.admits(2.0, 2.0)


def test_an_answer_to_others_ends_its_rest_here() -> None:
    breaker = _known()
    _fail(breaker, 1.0, 5)
    assert not breaker.learn(2.0, None, 0.5), "that was before"
    assert breaker.learn(2.0, None, 1.5)
    assert breaker.admits(2.0, 2.0)


def test_an_answer_to_others_does_not_end_what_the_host_told_us() -> None:
    breaker = _known()
    breaker.tell(1.0, 60)
    assert not breaker.learn(2.0, None, 1.5)
    assert not breaker.admits(2.0, 2.0)


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
            breaker.tell(now, took_s * 1000)
        elif kind == "learn":
            breaker.learn(now, _opening(now - took_s, now + took_s), -math.inf)
        elif kind == "heal":
            breaker.learn(now, None, now - took_s)
        else:
            waited_s = took_s if kind == "slow" else math.inf
            breaker.fail(now, began_at=now - took_s, waited_s=waited_s)
        rest_s = breaker.rest_s(now)
        assert 0 <= rest_s <= RULES.max_told_s + 4
        assert breaker.admits(now + rest_s + 5, 2.0), "a rest ends"
        if breaker.opening is None:
            assert rest_s == 0
            assert breaker.admits(now, 2.0)
