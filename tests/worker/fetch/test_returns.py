"""Photos that are sent back come again one after another."""

from hypothesis import given
from hypothesis import strategies as st

from worker.fetch.returns import MOST_S, Returns


def test_a_hundred_thousand_photos_come_back_over_minutes() -> None:
    returns = Returns()
    times = [returns.next_s(100.0, earliest_s=5, per_s=200) for _ in range(100_000)]
    assert times[0] >= 5
    busiest = max(sum(s <= t < s + 1 for t in times) for s in range(5, 600, 20))
    assert busiest <= 2 * 200
    assert 450 < max(times) < 560


def test_later_ones_queue_behind_earlier_ones_until_that_is_forgotten() -> None:
    returns = Returns()
    for _ in range(100):
        returns.next_s(0.0, earliest_s=1, per_s=1)
    assert returns.next_s(0.0, earliest_s=1, per_s=1) > 90
    returns.forget()
    assert returns.next_s(0.0, earliest_s=1, per_s=1) < 3


@given(
    st.lists(st.floats(0, 1000), max_size=30),
    st.floats(0.001, 3600),
    st.floats(1e-6, 1000),
)
def test_nobody_comes_too_early_or_never(
    laters: list[float], earliest_s: float, per_s: float
) -> None:
    returns, now = Returns(), 0.0
    for later in laters:
        now += later
        back_s = returns.next_s(now, earliest_s=earliest_s, per_s=per_s)
        assert earliest_s <= back_s <= 1.2 * MOST_S
