"""Recommendations are judged on products that the similarities were not made of."""

import pytest

from tests.worker.judging.filed import filed
from worker.judging.held_out_related import held_out

CATALOGUE = [
    filing
    for number in range(200)
    for filing in (
        filed(f"camera {number}", "Cameras", "Lenses", tags=("cameras",)),
        filed(f"cable {number}", "Cables", tags=("cables",)),
    )
]


def test_what_goes_together_everywhere_is_recommended_rightly() -> None:
    found = held_out(CATALOGUE, 0)
    assert 0 < found.products < 200
    assert found.precision == found.recall == 1
    # Half of the held-out products, more or less, are cameras, and each is recommended lenses.
    assert found.recommended == pytest.approx(0.5, abs=0.2)


def test_products_without_a_label_are_not_judged() -> None:
    found = held_out([filed(str(number), "Cameras", "Lenses") for number in range(50)], 0)
    assert (found.products, found.precision, found.recall) == (0, None, None)


def test_a_cutoff_that_nothing_reaches_recommends_nothing() -> None:
    found = held_out(CATALOGUE, 0, cutoff=1)
    assert (found.recommended, found.precision, found.recall) == (0, None, 0)


def test_the_order_of_products_changes_nothing() -> None:
    assert held_out(CATALOGUE[::-1], 0) == held_out(CATALOGUE, 0)
