"""Search judged: measures by hand and by scikit-learn, sellers by definition, a real market."""

import json
import random
from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.running import settings_of
from bench.search_quality.__main__ import ranking_of, search_quality
from bench.search_quality.market import (
    BOTH,
    DEFAULT,
    EXPANDED,
    FILTERED,
    PHOTOS,
    SELLER,
    SYSTEMS,
    Market,
)
from bench.search_quality.measures import FAR, TOP, Quality, interval, quality
from bench.search_quality.run import Plan, measure
from bench.search_quality.sellers import HONEST, SCENARIOS, Scenario, said
from bench.search_quality.wanted import Wanted, wanted
from bench.throughput.servers import Servers
from search.query import RANKING, Ranking
from shared.db.session import make_engine
from shared.errors import SetupError
from shared.settings import DEFAULT_MODEL
from tests.worker.training.shapes import row, write_rows, write_shapes
from worker.dataset.labelled import LabelledPhoto
from worker.model.artifact import load

FILED = {
    "p1": frozenset({"audio", "headphones"}),
    "p2": frozenset({"audio", "headphones"}),
    "p3": frozenset({"audio", "speakers"}),
    "p4": frozenset({"mugs"}),
    "p5": frozenset[str](),
}


def _quality(ranks: list[float], right: list[int], relevant: int) -> Quality:
    return quality(np.array(ranks, np.float64), np.array(right, np.bool_), relevant)


def test_an_answer_is_worth_what_it_is_by_hand() -> None:
    # Right at the first and the third place, of three that are right.
    found = _quality([0.9, 0.5, 0.4], [1, 0, 1], 3)
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert found.ndcg == pytest.approx((1 + 1 / np.log2(4)) / ideal)
    assert (found.precision, found.recall, found.found) == (0.2, pytest.approx(2 / 3), 2 / 3)
    assert _quality([], [], 4) == Quality(0, 0, 0, 0)
    # 60 right ones, found after 10 wrong ones: 40 of the 50 places that could show one.
    late = _quality([1.0] * 10 + [0.5] * 60, [0] * 10 + [1] * 60, 60)
    assert (late.ndcg, late.precision, late.recall, late.found) == (0, 0, 40 / FAR, 1)


def test_equal_ranks_are_worth_the_mean_over_all_their_orders() -> None:
    ranks, right = np.round(np.random.default_rng(1).random(25), 1), [1, 0, 0, 1, 0] * 5
    shuffler = random.Random(2)
    drawn: list[Quality] = []
    for _ in range(4000):
        order = sorted(range(25), key=lambda hit: (-ranks[hit], shuffler.random()))
        drawn.append(
            _quality([float(-place) for place in range(25)], [right[h] for h in order], 12)
        )
    expected = quality(ranks, np.array(right, np.bool_), 12)
    for name in ("ndcg", "precision", "recall", "found"):
        mean = np.mean([getattr(one, name) for one in drawn])
        assert getattr(expected, name) == pytest.approx(mean, abs=0.01)
    hits = [*zip(ranks, right, strict=True)]
    for turned in (hits[::-1], sorted(hits)):
        again = _quality([float(rank) for rank, _ in turned], [its for _, its in turned], 12)
        assert again == expected, "whatever order they come in"


@pytest.mark.parametrize("seed", range(20))
def test_ndcg_is_scikit_learns(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    drawn = np.random.default_rng(seed)
    ranks = np.round(drawn.random(40), 1)
    right = drawn.random(40) < 0.3
    theirs = metrics.ndcg_score([right], [ranks], k=TOP)
    assert quality(ranks, right, int(right.sum())).ndcg == pytest.approx(theirs)


def test_figures_that_do_not_fit_are_refused() -> None:
    for ranks, right, relevant in (([1.0], [1, 0], 2), ([1.0, 0.5], [1, 1], 1), ([], [], 0)):
        with pytest.raises(ValueError, match="relevant"):
            _quality(ranks, right, relevant)


def test_an_interval_covers_its_mean_and_is_the_same_again() -> None:
    values = np.random.default_rng(3).normal(0.5, 0.1, 40)
    low, high = interval(values, resamples=2000, seed=0)
    assert interval(values, resamples=2000, seed=0) == (low, high)
    error = values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)


def test_honest_sellers_say_where_their_product_is_filed_and_nothing_else() -> None:
    words = said(FILED, HONEST, spam_words=5, seed=0)
    assert {product: frozenset(its) for product, its in words.items()} == FILED
    silent = said(FILED, Scenario("", kept=0.0), spam_words=5, seed=0)
    assert not any(silent.values())


def _many(products: int) -> dict[str, frozenset[str]]:
    """Words of all popularities: word n is that of every n-th product."""
    return {
        f"p{number:05}": frozenset(f"w{n}" for n in range(1, 12) if number % n == 0)
        for number in range(products)
    }


def test_words_are_dropped_by_chance_and_fewer_of_them_are_fewer_of_the_same() -> None:
    filed = _many(3000)
    total = sum(map(len, filed.values()))
    half, fifth = (
        said(filed, Scenario("", kept=kept), spam_words=5, seed=1) for kept in (0.5, 0.2)
    )
    assert sum(map(len, half.values())) / total == pytest.approx(0.5, abs=0.03)
    assert sum(map(len, fifth.values())) / total == pytest.approx(0.2, abs=0.03)
    assert all(set(fifth[product]) <= set(half[product]) <= filed[product] for product in filed)
    assert said(filed, Scenario("", kept=0.5), spam_words=5, seed=2) != half
    assert said(dict(reversed(filed.items())), Scenario("", kept=0.5), spam_words=5, seed=1) == half


def test_spammers_add_words_of_other_categories_the_popular_ones_more_often() -> None:
    filed = _many(3000)
    words = said(filed, Scenario("", spammers=0.4), spam_words=3, seed=1)
    spam = {product: its[len(filed[product]) :] for product, its in words.items()}
    assert {frozenset(words[p][: len(filed[p])]) for p in filed} == {*filed.values()}
    most = {product: min(3, 11 - len(its)) for product, its in filed.items()}
    assert all(len(its) in {0, most[product]} for product, its in spam.items())
    assert sum(map(bool, spam.values())) / len(spam) == pytest.approx(0.4, abs=0.03)
    assert all(not filed[product] & set(its) for product, its in spam.items())
    assert all(len(set(its)) == len(its) for its in spam.values())
    # Products that are filed under the first word alone can be given any of the others.
    odd = [its[0] for product, its in spam.items() if its and len(filed[product]) == 1]
    drawn = Counter(odd)
    share = (1 / 2) / sum(1 / n for n in range(2, 12))
    assert drawn["w2"] / len(odd) == pytest.approx(share, abs=0.09)
    assert drawn["w2"] > drawn["w5"] > drawn["w11"]


def test_spam_and_dropping_leave_each_others_draws_alone() -> None:
    filed = _many(300)
    half = said(filed, Scenario("", kept=0.5), spam_words=3, seed=1)
    both = said(filed, Scenario("", kept=0.5, spammers=1.0), spam_words=3, seed=1)
    assert all(both[product][: len(its)] == its for product, its in half.items())
    assert all(len(both[p]) - len(half[p]) == min(3, 11 - len(filed[p])) for p in filed)
    assert said(FILED, SCENARIOS[-1], spam_words=50, seed=1)["p5"] != []
    assert said({"p": frozenset({"a"})}, Scenario("", spammers=1.0), spam_words=3, seed=0) == {
        "p": ["a"]
    }


def _photo(product: str, *path: str) -> LabelledPhoto:
    tags = [name for name in path if name in {"audio", "headphones"}]
    fields: dict[str, Any] = {"photo": product, "product": product, "tags": tags, "paths": [path]}
    return LabelledPhoto.model_validate_json(
        json.dumps(fields | {"source": "catalogue", "set": "drawn"})
    )


def test_queries_are_names_with_enough_products_by_what_photos_can_say_of_them() -> None:
    others = [
        _photo("o1", "audio", "speakers"),
        _photo("o2", "audio", "speakers"),
        _photo("o3", "audio", "mugs"),  # one shop's opinion
        _photo("o4", "kitchen", "mugs"),
        _photo("o5", "kitchen", "mugs"),
    ]
    queries = wanted(FILED, ["audio", "headphones"], others, 1)
    assert [(q.words, q.group, q.ticked) for q in queries] == [
        ("audio", "inside", "audio"),
        ("headphones", "inside", "headphones"),
        ("mugs", "outside", None),
        ("speakers", "below", "audio"),
    ]
    assert queries[0].relevant == {"p1", "p2", "p3"}
    assert [q.words for q in wanted(FILED, ["audio"], others, 2)] == ["audio", "headphones"]


CAMERA = Wanted("camera & photo", frozenset({"seen", "both"}), "inside", "camera & photo")
DIGITAL = Wanted("digital cameras", frozenset({"seen", "both"}), "below", "camera & photo")
MUGS = Wanted("mugs", frozenset({"silent"}), "outside", None)


@pytest.fixture
def market(bench_servers: Servers) -> Generator[Market]:
    """Two listings that show a camera, one that shows headphones, one without photos."""
    artifact = load(DEFAULT_MODEL)
    shows = {
        "seen": "camera & photo",
        "both": "camera & photo",
        "spam": "headphones",
    }
    scores: dict[str, dict[str, Any]] = {
        product: {product: np.array([tag == shown for tag in artifact.vocabulary], np.float32)}
        for product, shown in shows.items()
    }
    with bench_servers.fresh() as urls:
        engine = make_engine(settings_of(urls), role="test")
        yield Market(engine, settings_of(urls), artifact, scores | {"silent": {}})
        engine.dispose()


def _asked(market: Market, query: Wanted, ranking: Ranking = RANKING) -> dict[str, Any]:
    """(nDCG, share found) by system."""
    answers = {system.name: market.ask(query, system, ranking) for system in SYSTEMS}
    return {name: (its.ndcg, its.found) for name, its in answers.items() if its}


def test_a_market_answers_by_what_its_sellers_say_and_its_photos_show(market: Market) -> None:
    silent = _asked(market, CAMERA)
    assert silent[SELLER.name] == (0, 0)
    assert silent[PHOTOS.name] == silent[BOTH.name] == silent[FILTERED.name] == (1, 1)
    assert _asked(market, DIGITAL)[BOTH.name] == (0, 0)
    assert _asked(market, DIGITAL)[DEFAULT.name][1] == 1, "a related tag of what the photo shows"
    assert _asked(market, MUGS) == {s.name: (0, 0) for s in SYSTEMS if s is not FILTERED}
    market.say({"both": ["camera & photo"], "spam": ["camera & photo"], "silent": ["mugs"]})
    spammed = _asked(market, CAMERA)
    assert spammed[SELLER.name][0] < 0.7, "the spammer is on a level with an honest seller"
    assert spammed[BOTH.name] == spammed[FILTERED.name] == (1, 1)
    assert _asked(market, CAMERA, Ranking(tags=0.0, seller_tags=1.0))[BOTH.name][0] < 1
    assert _asked(market, MUGS)[SELLER.name] == (1, 1)
    market.say({"seen": ["vintage"], "spam": ["vintage"], "silent": []})
    vintage = Wanted("vintage", frozenset({"seen"}), "below", "camera & photo")
    assert _asked(market, vintage)[DEFAULT.name] == (pytest.approx((1 + 1 / np.log2(3)) / 2), 1)
    assert _asked(market, vintage)[FILTERED.name] == (1, 1), "the spammer does not show a camera"
    assert _asked(market, MUGS)[SELLER.name] == (0, 0), "what a seller says no more is not found"


def test_tags_that_go_with_the_words_find_what_neither_sellers_nor_the_index_say(
    market: Market,
) -> None:
    only_words = replace(EXPANDED, sources=("seller_tags",))
    assert market.ask(DIGITAL, replace(only_words, related=False)) == Quality(0, 0, 0, 0)
    assert market.ask(DIGITAL, only_words) == Quality(1, 0.2, 1, 1)


def test_scenarios_are_drawn_and_every_query_is_asked_of_every_system(market: Market) -> None:
    spam = Scenario("spam", spammers=1.0)
    filed = {name: frozenset({"mugs", name}) for name in ("seen", "both", "spam", "silent")}
    told: list[str] = []
    plan = Plan(draws=2, spam_words=2, seed=0, scenarios=[HONEST, spam])
    measured = measure(market, filed, [CAMERA, MUGS], plan, told.append)
    assert [text.split(":")[1][:8] for text in told] == [" 1 draws", " 2 draws"]
    assert set(measured.values) == {(s.name, y.name) for s in (HONEST, spam) for y in SYSTEMS}
    # Of four listings that say it, on a level, one is right.
    gains = (1 / np.log2(np.arange(4) + 2)).sum() / 4
    found = measured.values[HONEST.name, SELLER.name][1]
    assert found.tolist() == pytest.approx([gains, 0.1, 1, 1])
    assert np.isnan(measured.values[spam.name, FILTERED.name][1]).all()
    both = measured.values[HONEST.name, BOTH.name][0]
    assert both.tolist() == pytest.approx([1, 0.2, 1, 1])


def test_the_command_judges_a_small_data_set_and_says_all_of_it(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    data = write_shapes(tmp_path / "data", 180)
    rows: list[dict[str, Any] | str] = []
    for number in range(180):
        entry = row(f"photos/{number:04}.jpg", product=f"p{number // 2}")
        name, tag = (("Cameras", "camera & photo"), ("Cups", ""))[number % 4 // 2]
        entry |= {"paths": [[tag or "Kitchen", name]], "tags": [tag] if tag else []}
        rows.append(entry)
    write_rows(data, rows)
    out = tmp_path / "out"
    search_quality(data=data, minimum=3, draws=2, resamples=50, limit=12, out=out)
    told = json.loads((out / "search_quality.json").read_text())
    assert (told["data"]["part"], told["products"], told["photos"]) == ("test", 12, 24)
    assert not told["data"]["trained_on"]
    assert {query["words"]: query["group"] for query in told["queries"]} == {
        "camera & photo": "inside",
        "cameras": "below",
        "kitchen": "outside",
        "cups": "outside",
    }
    honest = told["figures"]["ndcg"]["honest"]["outside"]
    assert honest[SELLER.name]["mean"] == 1
    assert FILTERED.name not in honest
    nothing = told["figures"]["found"]["no words"]["outside"]
    assert nothing[SELLER.name]["interval"] == [0, 0]
    assert set(told["figures"]["ndcg"]) == {*(s.name for s in SCENARIOS), "mean of these"}
    page = (out / "search_quality.md").read_text()
    assert page.count("## nDCG@10") == page.count("## Recall@50") == 3
    assert (out / "search_quality.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SetupError, match="no name has 500"):
        search_quality(data=data, minimum=500, out=out)


def test_weights_to_try_are_five_numbers() -> None:
    assert ranking_of(None) == RANKING
    assert ranking_of("1,0.5,0.4,0,0.3") == Ranking(1, 0.5, 0.4, 0, 0.3)
    for wrong in ("1,2", "a,b,c,d,e", "1,1,1,1,2", "1,1,1,nan,1"):
        with pytest.raises(SetupError, match="--ranking"):
            ranking_of(wrong)
