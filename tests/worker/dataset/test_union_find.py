"""Sets grow together over chains, and are named by their smallest member."""

from hypothesis import given
from hypothesis import strategies as st

from worker.dataset.union_find import UnionFind


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20))))
def test_members_are_those_that_pairs_lead_to_whatever_their_order(
    pairs: list[tuple[int, int]],
) -> None:
    sets, backwards = UnionFind[int](), UnionFind[int]()
    for one, other in pairs:
        sets.join(one, other)
    for one, other in reversed(pairs):
        backwards.join(other, one)
    for item in range(21):
        reached = {item}
        while more := {b for a, b in [*pairs, *(p[::-1] for p in pairs)] if a in reached} - reached:
            reached |= more
        assert sets.find(item) == backwards.find(item) == min(reached)


def test_who_was_never_joined_is_alone() -> None:
    assert UnionFind[str]().find("alone") == "alone"
