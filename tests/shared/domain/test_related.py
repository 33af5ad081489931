"""Related tags: names and columns stay together, sums are cut off, input is not recommended."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.related import RelatedTags, cosine_matrix

NAMES = ["audio", "cables", "cases", "hubs"]
# Four products: what each carries, in the order of NAMES.
CARRIES = np.array(
    [
        [1, 1, 0, 0],
        [1, 1, 0, 1],
        [0, 1, 1, 0],
        [0, 0, 1, 0],
    ],
    np.float32,
)


def _related(cutoff: float = 0.2, limit: int = 10) -> RelatedTags:
    return RelatedTags(NAMES, cosine_matrix(CARRIES), cutoff, limit)


def test_the_matrix_holds_cosines_between_columns() -> None:
    # audio: products 1, 2; cables: 1, 2, 3; cases: 3, 4; hubs: 2
    expected = [
        [1, 2 / sqrt(6), 0, 1 / sqrt(2)],
        [2 / sqrt(6), 1, 1 / sqrt(6), 1 / sqrt(3)],
        [0, 1 / sqrt(6), 1, 0],
        [1 / sqrt(2), 1 / sqrt(3), 0, 1],
    ]
    assert cosine_matrix(CARRIES) == pytest.approx(np.array(expected), abs=1e-6)


def test_a_tag_that_no_product_carries_is_like_nothing() -> None:
    assert cosine_matrix(np.array([[1, 0], [1, 0]], np.float32)).tolist() == [[1, 0], [0, 0]]


def test_the_worked_example() -> None:
    assert _related().recommend(["audio", "cases"]) == [
        ("cables", pytest.approx(2 / sqrt(6) + 1 / sqrt(6))),
        ("hubs", pytest.approx(1 / sqrt(2))),
    ]


def test_tags_outside_the_matrix_add_nothing() -> None:
    assert _related().recommend(["cases", "labeling tapes"]) == _related().recommend(["cases"])
    assert _related().recommend(["labeling tapes"]) == []
    assert _related().recommend([]) == []


def test_spaces_within_a_tag_do_not_count() -> None:
    related = RelatedTags(["home audio", "hubs"], np.array([[1, 0.5], [0.5, 1]], np.float32))
    assert related.recommend(["Home   audio"]) == [("hubs", 0.5)]
    assert related.recommend(["hubs"], exclude=["home  Audio "]) == []


def test_input_and_excluded_tags_are_never_recommended_whatever_their_case() -> None:
    found = _related().recommend([" Audio ", "CABLES"], exclude=["Hubs"])
    assert [tag for tag, _ in found] == ["cases"]


def test_a_tag_named_twice_counts_once() -> None:
    assert _related().recommend(["audio", "Audio"]) == _related().recommend(["audio"])


def test_the_sum_must_be_greater_than_the_cutoff() -> None:
    related = RelatedTags(["a", "b"], np.array([[1, 0.5], [0.5, 1]], np.float32), cutoff=0.5)
    assert related.recommend(["a"]) == []


def test_ties_go_by_name_and_the_limit_holds() -> None:
    matrix = np.full((4, 4), 0.5, np.float32)
    related = RelatedTags(["d", "b", "c", "a"], matrix, limit=2)
    assert related.recommend(["d"]) == [("a", 0.5), ("b", 0.5)]


@given(order=st.permutations(range(len(NAMES))), tags=st.sets(st.sampled_from(NAMES)))
def test_the_order_of_columns_changes_nothing(order: list[int], tags: set[str]) -> None:
    shuffled = RelatedTags([NAMES[i] for i in order], cosine_matrix(CARRIES[:, order]))
    assert shuffled.recommend(tags) == _related().recommend(tags)


@pytest.mark.parametrize(
    ("names", "matrix", "complaint"),
    [
        (["a", "A"], np.eye(2), "named twice"),
        (["a"], np.eye(2), "matrix of"),
        (["a", "b"], np.array([[1, np.nan], [np.nan, 1]]), "not within"),
        (["a", "b"], np.array([[1, np.inf], [np.inf, 1]]), "not within"),
        (["a", "b"], np.array([[1, 0.5], [0.4, 1]]), "not symmetric"),
    ],
)
def test_names_and_matrix_that_do_not_fit_are_refused(
    names: list[str], matrix: np.ndarray[tuple[int, int], np.dtype[np.float32]], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        RelatedTags(names, matrix.astype(np.float32))


def test_listings_are_recommended_to_each_by_itself() -> None:
    listings: list[tuple[list[str], list[str]]] = [
        (["audio", "cases"], []), ([], []), (["labeling tapes"], []), (["cases"], ["hubs"]),
    ]  # fmt: skip
    together = _related().recommend_all(listings)
    assert together == [_related().recommend(tags, exclude) for tags, exclude in listings]
    assert together[0]
    assert _related().recommend_all([]) == []
