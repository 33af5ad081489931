"""A judge is fitted that finds planted words, and the report says how many."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shared.domain.related import RelatedTags, similarity_matrix
from shared.domain.spam import SpamJudge
from tagger import app
from tests.worker.model.drafts import draft
from worker.judging import spam_fit
from worker.judging.spam_fit import Products, Said, fit, plant, spam_scores
from worker.judging.spam_report import judge_spam, plot
from worker.model.artifact import write
from worker.training.catalogue import table_of

_TAGS = ("cables", "headphones")
_THRESHOLDS = np.array([0.5, 0.5], np.float32)
#: "hubs" look like cables do; "rare" is on too few products.
_KINDS = (
    (frozenset({"cables"}), (0.95, 0.03)),
    (frozenset({"cables", "hubs"}), (0.9, 0.05)),
    (frozenset({"headphones"}), (0.04, 0.93)),
    (frozenset[str](), (0.1, 0.1)),
)


def _products(seed: int, count: int = 240) -> Products:
    random = np.random.default_rng(seed)
    kinds = [_KINDS[row % len(_KINDS)] for row in range(count)]
    scores = np.array([scores for _, scores in kinds]) + random.normal(0, 0.02, (count, 2))
    names = [names for names, _ in kinds]
    names[0] |= {"rare"}
    return Products(
        ids=tuple(f"P{row}" for row in range(count)),
        scores=np.clip(scores, 0, 1).astype(np.float32),
        names=tuple(names),
        sources=("catalogue", "user") * (count // 2),
    )


def _related(products: Products) -> RelatedTags:
    names = ["cables", "headphones", "hubs", "rare"]
    return RelatedTags(names, similarity_matrix(table_of(products.names, names)))


def _fit(products: Products) -> SpamJudge:
    judge = fit(products, _TAGS, _THRESHOLDS, {}, _related(products))
    assert judge is not None
    return judge


@pytest.fixture(scope="module")
def judge() -> SpamJudge:
    """Fitted to products of two clear kinds."""
    return _fit(_products(1))


def test_names_on_too_few_products_are_not_judged(judge: SpamJudge) -> None:
    assert judge.names == ("cables", "headphones", "hubs")


def test_names_that_go_together_do_not_speak_against_each_other(judge: SpamJudge) -> None:
    cables, headphones, hubs = range(3)
    assert judge.apart[cables, headphones]
    assert judge.apart[headphones, hubs]
    assert not judge.apart[cables, hubs]
    assert not judge.apart.diagonal().any()


def test_a_tag_implies_what_stands_above_it() -> None:
    products = _products(1)
    judge = fit(products, _TAGS, _THRESHOLDS, {"cables": "headphones"}, _related(products))
    assert judge is not None
    assert judge.implied.tolist() == [[True, False], [True, True], [False, False]]


def test_planted_words_are_found_on_other_products_and_honest_ones_left_alone(
    judge: SpamJudge,
) -> None:
    found = judge_spam(judge, _products(2), _THRESHOLDS, seed=5)
    assert found["precision"]["least"] > 0.95
    # A quarter of the products shows nothing: spam there is not to be told.
    assert 0.5 < found["recall"]["median"] < 0.95
    assert found["honest"]["listings_flagged"] == 0
    assert found["words_judged"] == pytest.approx(240 / 241)
    assert [row["spammed"] for row in found["by_prevalence"]] == [0.05, 0.2, 0.5]
    assert plot(found).startswith(b"\x89PNG")


def test_scores_are_the_share_that_is_spam(judge: SpamJudge) -> None:
    products = _products(3)
    said = [word for seed in range(30) for word in plant(products, judge.names, seed=seed)]
    scores = spam_scores(judge, products, _THRESHOLDS, said)
    planted = np.array([word.planted for word in said])
    asked = scores > 0
    assert scores[asked].mean() == pytest.approx(planted[asked].mean(), abs=0.1)


def test_the_report_counts_what_is_flagged_wrongly(judge: SpamJudge) -> None:
    products = _products(4)
    liars = replace(products, names=(frozenset({"headphones"}), *products.names[1:]))
    honest = judge_spam(judge, liars, _THRESHOLDS, seed=0)["honest"]
    assert honest["listings_flagged"] == pytest.approx(1 / 240)
    assert honest["listings_flagged_by_source"] == {
        "catalogue": pytest.approx(1 / 120),
        "user": 0,
    }
    assert honest["most_often_wrong"] == [{"name": "headphones", "flagged": 1, "said": 61}]


def test_spam_is_never_a_product_s_own_word_and_comes_by_popularity() -> None:
    products = _products(1, 400)
    said = [word for seed in range(20) for word in plant(products, ("cables", "hubs"), seed=seed)]
    planted = [word for word in said if word.planted]
    assert all(word.name not in products.names[word.product] for word in planted)
    counts = [sum(word.name == name for word in planted) for name in ("cables", "hubs")]
    assert counts[0] > counts[1], "there are twice as many"
    assert plant(products, (), seed=0) == []
    assert not any(word.planted for word in plant(products, _TAGS, seed=0, spammed=0))


def test_the_same_seed_plants_the_same_words() -> None:
    products = _products(1)
    one, again, other = (plant(products, _TAGS, seed=seed) for seed in (3, 3, 4))
    assert one == again != other
    assert Said(0, "cables", planted=False) in one


def test_where_no_name_is_frequent_there_is_no_judge() -> None:
    few = _products(1, 40)
    assert fit(few, _TAGS, _THRESHOLDS, {}, _related(few)) is None


def test_where_nothing_is_precise_enough_there_is_no_judge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    products = _products(1)
    monkeypatch.setattr(spam_fit, "MIN_FLAGGED", 10**6)
    assert fit(products, _TAGS, _THRESHOLDS, {}, _related(products)) is None


def test_a_judge_that_flags_nothing_is_reported_as_such(judge: SpamJudge) -> None:
    found = judge_spam(replace(judge, cutoff=2.0), _products(2), _THRESHOLDS, seed=0)
    assert found["precision"]["median"] is None
    assert found["recall"]["median"] == 0
    assert plot(found).startswith(b"\x89PNG")


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "model", draft(), "# Card\n")
    arguments = ["spam", str(tmp_path / "model"), "--data", str(tmp_path), "--out", str(tmp_path)]
    failed = CliRunner().invoke(app, arguments)
    assert failed.exit_code
    assert "has no judge of spam yet: --fit makes one" in str(failed.exception)
