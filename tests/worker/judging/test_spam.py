"""Planted words are found on products that the judge has not seen, and the report says how many."""

from dataclasses import replace

import numpy as np
import pytest

from shared.domain.spam import SpamJudge
from tests.worker.judging.shop import TAGS, THRESHOLDS, fitted, related, shop
from worker.judging.spam import Said, plant, plant_similar, verdicts
from worker.judging.spam_report import judge_spam, plot


@pytest.fixture(scope="module")
def judge() -> SpamJudge:
    """Fitted to products of clear kinds."""
    return fitted(shop(1))


def test_planted_words_are_found_on_other_products_and_honest_ones_left_alone(
    judge: SpamJudge,
) -> None:
    found = judge_spam(judge, shop(2), THRESHOLDS, related(shop(2)), seed=5)
    assert found["precision"]["low"] > 0.95
    # A quarter of the products shows nothing: spam there is not to be told.
    assert 0.5 < found["recall"]["median"] < 0.95
    assert found["honest"]["listings_flagged"]["high"] == 0
    assert found["words_judged"] == pytest.approx(240 / 241)
    assert [row["spammed"] for row in found["by_prevalence"]] == [0.05, 0.2, 0.5]
    assert plot(found).startswith(b"\x89PNG")


def test_scores_are_the_share_that_is_spam(judge: SpamJudge) -> None:
    products = shop(3)
    said = [word for seed in range(30) for word in plant(products, judge.names, seed=seed)]
    scores = verdicts(judge, products, THRESHOLDS, said).spam
    planted = np.array([word.planted for word in said])
    asked = scores > 0
    assert scores[asked].mean() == pytest.approx(planted[asked].mean(), abs=0.1)


def test_the_report_counts_what_is_flagged_wrongly(judge: SpamJudge) -> None:
    products = shop(4)
    liars = replace(products, names=(frozenset({"headphones"}), *products.names[1:]))
    honest = judge_spam(judge, liars, THRESHOLDS, related(liars), seed=0)["honest"]
    assert (honest["listings"], honest["listings_judged"]) == (240, 180 + 0)
    assert honest["listings_flagged"]["median"] == pytest.approx(1 / 180)
    assert honest["listings_flagged"]["low"] == 0
    assert 2 / 180 <= honest["listings_flagged"]["high"] <= 5 / 180
    assert honest["listings_flagged_by_source"] == {
        "catalogue": pytest.approx(1 / 120),
        "user": 0,
    }
    assert honest["most_often_wrong"] == [{"name": "headphones", "flagged": 1, "said": 61}]


def test_spam_is_never_a_product_s_own_word_and_comes_by_popularity() -> None:
    products = shop(1, 400)
    said = [word for seed in range(20) for word in plant(products, ("cables", "hubs"), seed=seed)]
    planted = [word for word in said if word.planted]
    assert all(word.name not in products.names[word.product] for word in planted)
    counts = [sum(word.name == name for word in planted) for name in ("cables", "hubs")]
    assert counts[0] > counts[1], "there are twice as many"
    assert plant(products, (), seed=0) == []
    assert not any(word.planted for word in plant(products, TAGS, seed=0, spammed=0))


def test_intervals_are_as_wide_as_so_few_products_make_them(judge: SpamJudge) -> None:
    """Which products the data happens to have counts, and not the draws of spam alone."""
    many, few = (
        judge_spam(judge, shop(5, count), THRESHOLDS, related(shop(5)), seed=0)["recall"]
        for count in (800, 80)
    )
    assert few["low"] < many["low"] < many["median"] < many["high"] < few["high"]
    assert few["high"] - few["low"] > 2 * (many["high"] - many["low"])


def test_similar_spam_often_goes_with_what_is_sold() -> None:
    products = shop(1)
    said = plant_similar(products, ("cables", "headphones", "hubs"), related(products), seed=0)
    planted = [word for word in said if word.planted]
    assert {(*products.names[word.product], word.name) for word in planted} == {("cables", "hubs")}
    assert 20 < len(planted) < 40, "half of the sixty that sell cables, and the rare one"


def test_the_same_seed_plants_the_same_words() -> None:
    products = shop(1)
    one, again, other = (plant(products, TAGS, seed=seed) for seed in (3, 3, 4))
    assert one == again != other
    assert Said(0, "cables", planted=False) in one


def test_a_judge_that_flags_nothing_is_reported_as_such(judge: SpamJudge) -> None:
    found = judge_spam(replace(judge, cutoff=2.0), shop(2), THRESHOLDS, related(shop(2)), seed=0)
    assert found["precision"]["median"] is None
    assert found["recall"]["median"] == 0
    assert plot(found).startswith(b"\x89PNG")
