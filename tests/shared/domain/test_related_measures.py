"""Measures of similarity, their minimum support, and the mean in place of the paper's sum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shared.domain.related import (
    CUTOFF,
    MEASURES,
    Measure,
    RelatedTags,
    cosine_matrix,
    similarity_matrix,
)

# Ten products: `child` is on 3 of the 8 with `parent`; `other` is on 4, 2 of them with `parent`.
CARRIES = np.array(
    [[1, 1, 0]] * 3 + [[1, 0, 0]] * 3 + [[1, 0, 1]] * 2 + [[0, 0, 1]] * 2, np.float32
)

#: The paper's Image 10 as its notebook logged it: sums over two of the three given tags.
IMAGE_10 = {
    "cases": 0.458338,
    "hubs": 0.395285,
    "vehicle electronics accessories": 0.373609,
    "filters & accessories": 0.355707,
    "on-dash cameras": 0.330404,
    "hdmi cables": 0.312916,
    "memory card accessories": 0.295804,
    "over-ear headphones": 0.283088,
}
GIVEN = ["accessories & supplies", "office electronics accessories", "labeling tapes"]


def _image_10(*, normalised: bool) -> RelatedTags:
    """A matrix with those sums, in unequal parts, and a tag that stays below the cutoff."""
    sums = {**IMAGE_10, "tripods": 0.19}
    names = [*GIVEN[:2], *sums]
    matrix = np.eye(len(names), dtype=np.float32)
    for column, total in enumerate(sums.values(), start=2):
        for row, share in enumerate((0.3, 0.7)):
            matrix[row, column] = matrix[column, row] = share * total
    matrix[0, 1] = matrix[1, 0] = 0.5  # given tags are alike, and still recommend not each other
    return RelatedTags(names, matrix, normalised=normalised)


@pytest.mark.parametrize(
    ("measure", "child", "other"),
    [
        ("cosine", 3 / np.sqrt(3 * 8), 2 / np.sqrt(8 * 4)),
        ("jaccard", 3 / 8, 2 / 10),
        ("overlap", 1.0, 2 / 4),
    ],
)
def test_a_measure_compares_the_products_of_two_tags(
    measure: Measure, child: float, other: float
) -> None:
    matrix = similarity_matrix(CARRIES, measure)
    assert matrix[0] == pytest.approx([1, child, other], abs=1e-6)
    assert matrix[1, 2] == 0


def test_cosine_is_the_default() -> None:
    assert np.array_equal(similarity_matrix(CARRIES), cosine_matrix(CARRIES))


@pytest.mark.parametrize("measure", MEASURES)
def test_a_pair_on_too_few_products_counts_as_never_seen(measure: Measure) -> None:
    matrix = similarity_matrix(CARRIES, measure, minimum_support=3)
    assert matrix[0, 1] == similarity_matrix(CARRIES, measure)[0, 1]
    assert matrix[0, 2] == 0
    assert matrix.diagonal().tolist() == [1, 1, 1]


def test_a_tag_on_too_few_products_is_like_nothing() -> None:
    matrix = similarity_matrix(CARRIES, minimum_support=4)
    assert matrix[1].tolist() == [0, 0, 0]


@given(
    carries=arrays(
        np.float32,
        st.tuples(st.integers(0, 30), st.integers(1, 6)),
        elements=st.sampled_from([0, 1]),
    ),
    measure=st.sampled_from(MEASURES),
    support=st.integers(1, 5),
)
def test_a_matrix_is_always_one_that_recommends(
    carries: np.ndarray[tuple[int, int], np.dtype[np.float32]], measure: Measure, support: int
) -> None:
    matrix = similarity_matrix(carries, measure, support)
    RelatedTags([f"tag {column}" for column in range(len(matrix))], matrix)
    assert (similarity_matrix(carries, "jaccard") <= similarity_matrix(carries, "overlap")).all()


def test_large_tables_are_counted_in_blocks_to_the_same_end() -> None:
    many = np.tile(CARRIES, (20_000, 1))
    assert similarity_matrix(many) == pytest.approx(similarity_matrix(CARRIES), abs=1e-6)


def test_the_papers_example_comes_out_of_sums_in_its_order() -> None:
    found = _image_10(normalised=False).recommend(GIVEN)
    assert [name for name, _ in found] == list(IMAGE_10)
    assert dict(found) == pytest.approx(IMAGE_10, abs=1e-6)


def test_the_mean_divides_by_the_given_tags_that_are_in_the_matrix() -> None:
    related = _image_10(normalised=True)
    assert related.recommend(GIVEN) == [("cases", pytest.approx(IMAGE_10["cases"] / 2))]
    assert related.recommend(["labeling tapes"]) == []


def test_the_cutoff_of_a_mean_does_not_loosen_as_tags_are_added() -> None:
    names = [*(f"given {number}" for number in range(10)), "weak"]
    matrix = np.eye(11, dtype=np.float32)
    matrix[:10, 10] = matrix[10, :10] = 0.1
    weak = ("weak", pytest.approx(1.0))
    assert RelatedTags(names, matrix).recommend(names[:10]) == [weak]
    assert RelatedTags(names, matrix, CUTOFF, normalised=True).recommend(names[:10]) == []


def test_one_given_tag_has_the_same_mean_and_sum() -> None:
    for tag in GIVEN[:2]:
        mean, total = _image_10(normalised=True), _image_10(normalised=False)
        assert mean.recommend([tag]) == total.recommend([tag])
