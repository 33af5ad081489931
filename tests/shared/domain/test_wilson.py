"""The bounds of shares against their definition, and where there is nothing to go by."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import wilson


@given(answers=st.integers(1, 5000), share=st.floats(0, 1))
@settings(deadline=None)
def test_what_was_seen_is_just_possible_at_the_lower_bound(answers: int, share: float) -> None:
    hits = round(share * answers)
    found = wilson.lower_bound(np.array([float(hits)]), np.array([float(answers)]))[0]
    # The share that lies so low that what was seen is z standard errors above it.
    spread = 1.6448536 * np.sqrt(found * (1 - found) / answers)
    assert found + spread == pytest.approx(hits / answers, abs=1e-6)
    assert 0 <= found <= hits / answers
    assert (found == 0) == (hits == 0)


def test_the_lower_bound_of_nothing_is_nothing() -> None:
    assert wilson.lower_bound(np.array([0.0]), np.array([0.0])).tolist() == [0]


@given(count=st.integers(1, 5000), share=st.floats(0, 1))
@settings(deadline=None)
def test_what_was_seen_is_just_possible_at_both_ends_of_the_interval(
    count: int, share: float
) -> None:
    hits = round(share * count)
    low, high = wilson.interval(hits, count)
    assert 0 <= low <= hits / count <= high <= 1
    for bound, sign in ((low, 1), (high, -1)):
        spread = 1.9599640 * np.sqrt(bound * (1 - bound) / count)
        assert bound + sign * spread == pytest.approx(hits / count, abs=1e-6)


def test_where_nothing_was_counted_the_share_may_be_anything() -> None:
    assert wilson.interval(0, 0) == (0, 1)
