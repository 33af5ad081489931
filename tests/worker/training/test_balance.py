"""What there is little of is drawn more often, within bounds."""

import numpy as np
import pytest

from worker.dataset.rows import LabelledPhoto
from worker.training.balance import MAX_UNTAGGED_SHARE, UNTAGGED, draw_shares, with_untagged


def _photos(tagged: int, untagged: int) -> list[LabelledPhoto]:
    return [_photo(["cameras"])] * tagged + [_photo([])] * untagged


def _photo(tags: list[str]) -> LabelledPhoto:
    row = {"photo": "a.jpg", "product": "p", "tags": tags, "paths": []}
    return LabelledPhoto.model_validate({**row, "source": "catalogue", "set": "s"})


@pytest.mark.parametrize(("tagged", "untagged"), [(90, 10), (1, 1), (5, 95), (3, 0), (0, 4)])
def test_the_shares_are_a_distribution(tagged: int, untagged: int) -> None:
    shares = draw_shares(_photos(tagged, untagged))
    assert shares.shape == (tagged + untagged,)
    assert (shares > 0).all()
    assert shares.sum() == pytest.approx(1)


def test_a_few_photos_without_tags_are_drawn_more_often() -> None:
    shares = draw_shares(_photos(90, 10))
    assert shares[-1] / shares[0] == pytest.approx(UNTAGGED)


def test_but_they_do_not_crowd_the_others_out() -> None:
    shares = draw_shares(_photos(75, 25))
    assert shares[75:].sum() == pytest.approx(MAX_UNTAGGED_SHARE)


def test_where_most_have_no_tag_all_are_drawn_alike() -> None:
    assert np.ptp(draw_shares(_photos(30, 70))) == pytest.approx(0)


@pytest.mark.parametrize(
    ("tagged", "untagged", "after"), [(9, 3, 9), (10, 4, 10), (3, 7, 7), (4, 0, 0), (0, 5, 5)]
)
def test_untagged_rows_come_again_until_they_are_as_many(
    tagged: int, untagged: int, after: int
) -> None:
    truth = np.zeros((tagged + untagged, 2), bool)
    truth[:tagged, 0] = True
    rows = with_untagged(truth)
    assert np.array_equal(np.unique(rows), np.arange(tagged + untagged))
    assert truth[rows].any(axis=1).sum() == tagged
    assert (~truth[rows].any(axis=1)).sum() == after
    times = np.bincount(rows)[tagged:]
    assert times.size == 0 or np.ptp(times) <= 1
