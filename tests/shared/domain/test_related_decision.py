"""A stored decision recommends as the one that was stored."""

import numpy as np
import pytest

from shared.domain.decision import Decision
from shared.domain.related import RelatedTags

NAMES = ("a", "b", "c")
MATRIX = np.array([[1, 0.5, 0.3], [0.5, 1, 0.3], [0.3, 0.3, 1]], np.float32)


def _decision(*, normalised: bool) -> Decision:
    related = RelatedTags(NAMES, MATRIX, normalised=normalised)
    return Decision(("a", "b"), np.array([0.5, 0.5], np.float32), related=related)


@pytest.mark.parametrize(("normalised", "similarity"), [(True, 0.3), (False, 0.6)])
def test_mean_or_sum_is_kept(normalised: bool, similarity: float) -> None:
    stored = Decision.from_json(_decision(normalised=normalised).to_json())
    assert stored.related_tags([(["a", "b"], [])]) == [[("c", pytest.approx(similarity))]]


def test_a_decision_stored_before_there_was_a_mean_still_sums() -> None:
    stored = _decision(normalised=True).to_json()
    del stored["related"]["normalised"]
    [found] = Decision.from_json(stored).related_tags([(["a", "b"], [])])
    assert found == [("c", pytest.approx(0.6))]
