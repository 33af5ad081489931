"""What the notebooks did to URLs, tags and samples, and what is right."""

import numpy as np
import pytest

from tests.worker.judging.filed import filed
from worker.judging.paper import frequent_tags, is_photo, notebook_keeps, notebook_sample

AMAZON = "https://images-na.ssl-images-amazon.com/images/I/"


@pytest.mark.parametrize(
    ("url", "notebook", "right"),
    [
        (f"{AMAZON}A1x._SX35_.jpg", True, True),
        (f"{AMAZON}A1x._SX35_SY46._CR0,0,35,46_PKdp-play-icon-overlay__.jpg", False, False),
        (f"{AMAZON}A1x._SX35_PKmb-play-button-overlay-thumb_.jpg", False, False),
        (f"{AMAZON}A1x.gif", False, False),
        ("https://img.example/display-stand.jpg", False, True),
        ("https://play.example/1.jpg", False, True),
        ("https://img.example/1.JPG", False, True),
        ("https://img.example/1.jpeg?width=200", False, True),
        ("https://img.example/anim.gif?poster=1.jpg", True, False),
        ("https://img.example/1.jpg.html", True, False),
        ("https://[broken/1.jpg", True, False),
    ],
)
def test_a_url_is_judged_by_its_path_and_by_the_notebook_by_its_text(
    url: str, notebook: bool, right: bool
) -> None:
    assert notebook_keeps(url) is notebook
    assert is_photo(url) is right


def test_rows_let_in_what_products_do_not() -> None:
    filings = [filed("1", "Rare", rows=8), filed("2", "Common"), filed("3", "Common")]
    over_rows, distinct = frequent_tags(filings, 0.5, over="rows", split_commas=False)
    over_products, _ = frequent_tags(filings, 0.5, over="products", split_commas=False)
    assert (over_rows, over_products, distinct) == (["rare"], ["common"], 2)


def test_a_product_filed_twice_counts_once() -> None:
    filings = [filed("1", "A"), filed("1", "A", "B"), filed("2", "C")]
    assert frequent_tags(filings, 1.0, over="products", split_commas=False)[0] == []


def test_a_comma_makes_two_tags_of_one_segment() -> None:
    filings = [filed("1", "Electronics", "Bags, Cases & Sleeves")]
    whole, _ = frequent_tags(filings, 0.05, over="products", split_commas=False)
    split, _ = frequent_tags(filings, 0.05, over="products", split_commas=True)
    assert whole == ["bags, cases & sleeves"]
    assert split == ["bags", "cases & sleeves"]


def test_catalogue_photos_are_drawn_once_and_user_photos_may_repeat() -> None:
    random = np.random.default_rng(0)
    catalogue, users = [f"c{number}" for number in range(8)], ["u1", "u2"]
    repeated = 0
    for _ in range(400):
        drawn, of_users = notebook_sample(catalogue, users, random)
        assert len(set(drawn)) == len(drawn) == 5
        assert len(of_users) == 2
        repeated += of_users[0] == of_users[1]
    assert repeated / 400 == pytest.approx(0.5, abs=0.1)


def test_a_product_with_few_photos_gives_what_it_has() -> None:
    random = np.random.default_rng(0)
    assert notebook_sample(["c"], [], random) == (["c"], [])
    assert notebook_sample([], ["u"], random) == ([], ["u", "u"])
