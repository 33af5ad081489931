"""With --paper-faithful, tags, URLs and user photos go the notebooks' way, faults included."""

from pathlib import Path
from typing import Any

from tests.worker.dataset.catalogues import Run, photo_url, product
from worker.dataset.prepare import Sampling

FAITHFUL = Sampling(catalogue=5, user=2, min_catalogue=2, seed=0, paper_faithful=True)


def _shop(products: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    metadata = [
        product(
            f"P{n}",
            ["Electronics", "Bags, Cases & Sleeves", "Women's &amp; Men's"],
            [photo_url(f"{n}-{photo}") for photo in range(6)],
        )
        for n in range(products)
    ]
    shown = [
        {"asin": f"P{n}", "image": [photo_url(f"{n}-u0"), photo_url(f"{n}-u1")]}
        for n in range(products)
    ]
    return metadata, shown


def test_categories_are_split_at_commas_with_their_quotes_and_html(tmp_path: Path) -> None:
    run = Run(tmp_path, *_shop(3), sampling=FAITHFUL)
    assert run.tags_of("P0") == ['"womens &amp; mens"', "bags", "cases & sleeves"]
    # The paths stay clean: the faults are the tags' alone.
    assert run.paths_of("P0") == [["electronics", "bags, cases & sleeves", "women's & men's"]]


def test_urls_are_judged_by_what_is_anywhere_in_them(tmp_path: Path) -> None:
    urls = [
        "https://m.example/a.png?as=.jpg",
        "https://m.example/b.jpg",
        "https://m.example/playstation.jpg",
        "https://m.example/c.jpeg",
    ]
    run = Run(
        tmp_path,
        [product("A", urls=urls)],
        [{"asin": "A", "image": [photo_url("u")]}],
        sampling=FAITHFUL,
    )
    assert set(run.urls) == {urls[0], urls[1], photo_url("u")}
    assert run.step("photo URLs")["dropped"] == {"not_jpg": 1, "video_thumbnail": 1}


def test_user_photos_are_drawn_with_replacement_and_stay_rows_of_their_own(tmp_path: Path) -> None:
    run = Run(tmp_path, *_shop(100), sampling=FAITHFUL)
    assert len(run.rows) == 100 * (5 + 2)
    assert len({row["photo_id"] for row in run.rows}) == len(run.rows)
    user = [row["url"] for row in run.rows if row["source"] == "user"]
    twice = len(user) - len(set(user))
    assert 30 < twice < 70  # a half of the products, with two photos each
    assert run.step("sampled photos")["added"] == {"drawn again": twice}
    catalogue = [row["url"] for row in run.rows if row["source"] == "catalogue"]
    assert len(set(catalogue)) == len(catalogue)


def test_products_without_a_review_photo_are_lost_in_the_merge(tmp_path: Path) -> None:
    metadata, shown = _shop(3)
    run = Run(tmp_path, metadata, shown[1:], sampling=FAITHFUL)
    assert {row["product"] for row in run.rows} == {"P1", "P2"}
    assert run.step("products with photos enough")["dropped"] == {"without a user photo": 1}
