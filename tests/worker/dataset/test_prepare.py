"""Catalogues become photo rows; each step's counts add up; nothing is dropped silently."""

import hashlib
import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.errors import DatasetError
from tests.waiting import wait_until
from tests.worker.dataset.catalogues import EVERYTHING, Run, photo_url, product, write_lines
from worker.dataset.prepare import PrepareRequest, Sampling, prepare

Rows = list[dict[str, Any] | str]


def _dirty() -> tuple[Rows, Rows]:
    overlay = "https://m.example/I/A1._SX35_SY46._CR0,0,35,46_PKdp-play-icon-overlay__.jpg"
    metadata: Rows = [
        product("A", ["Electronics", "Bags, Cases & Sleeves", "Bags, Cases & Sleeves"]),
        product("A", ["Electronics", "Bags, Cases & Sleeves", "Bags, Cases & Sleeves"]),
        product("A", ["Electronics", "Mice"], [photo_url("A"), photo_url("A2")]),
        product(
            "B", "['Electronics', 'Mice']", [photo_url("B"), overlay, "https://m.example/b.gif"]
        ),
        product(
            "C", [], [photo_url("C"), "ftp://m.example/c.jpg", None, 7, "https://m.example/.jpg"]
        ),
        product("D", ["Electronics", "<span>Mice</span>", "&amp;"], "['https://m.example/d.jpg']"),
        product("E", {"no": "list"}, []),
        product("F", ["Electronics", 3, "Mice", "Electronics", "Toys"], {"large": 3}),
        '{"asin": "cut',
        "[1]",
        '{"title": "nobody\'s"}',
        {"asin": ["A"], "category": []},
        "",
    ]
    reviews: Rows = [
        {"asin": "A", "image": [photo_url("A"), photo_url("user")]},
        {"asin": "A", "overall": 5.0},
        {"asin": "Z", "image": [photo_url("unknown")]},
        {"asin": "B", "image": ["https://m.example/x_PKmb-play-button-overlay-thumb_.jpg"]},
        "null",
    ]
    return metadata, reviews


def test_every_step_says_where_its_rows_went(tmp_path: Path) -> None:
    run = Run(tmp_path, *_dirty())
    for step in run.report["steps"]:
        came = step["came_in"] + sum(step["added"].values())
        assert came == step["kept"] + sum(step["dropped"].values()), step["name"]
    assert [(step["came_in"], step["kept"]) for step in run.report["steps"]] == [
        (13, 8),  # lines of metadata
        (5, 4),  # lines of reviews
        (8, 6),  # rows to products
        (5, 4),  # tags
        (4, 2),  # reviews
        (16, 7),  # URLs
        (6, 4),  # products
        (7, 7),  # photos
        (7, 7),  # rows
    ]


def test_each_kind_of_dirt_is_counted_with_an_example(tmp_path: Path) -> None:
    run = Run(tmp_path, *_dirty())
    assert run.dirt == {
        "bad_product": 1,
        "bad_url": 2,
        "blank_line": 1,
        "broken_line": 1,
        "duplicate_row": 1,
        "duplicate_url": 2,
        "empty_category": 1,
        "html_entity_in_category": 1,
        "html_in_category": 1,
        "joined_paths": 1,
        "no_product": 1,
        "not_an_object": 2,
        "not_jpg": 1,
        "not_text": 2,
        "repeated_product": 1,
        "repeated_segment": 1,
        "stringified_category": 1,
        "stringified_images": 1,
        "unknown_product": 1,
        "unreadable_category": 1,
        "video_thumbnail": 2,
        "wrong_type_in_category": 1,
    }
    examples = {kind: found["example"] for kind, found in run.report["dirt"].items()}
    assert examples["broken_line"] == 'meta_Things.json.gz:9: {"asin": "cut'
    assert examples["unknown_product"] == "reviews.json.gz:3"
    assert "meta_Things.json.gz:4" in examples["stringified_category"]
    markdown = (run.out / "report.md").read_text()
    assert all(f"`{kind}`" in markdown for kind in run.dirt)


def test_a_photo_row_has_the_declared_columns_and_the_id_of_product_and_url(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path, [product("A"), product("B")], set_name="mine")
    assert run.types == [
        *("VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR"),
        *("VARCHAR[]", "VARCHAR[][]", "INTEGER", "VARCHAR"),
    ]
    ids = [row["photo_id"] for row in run.rows]
    assert ids == sorted(ids)
    assert run.rows[0 if run.rows[0]["product"] == "A" else 1] == {
        "photo_id": hashlib.sha256(f"A\n{photo_url('A')}".encode()).hexdigest()[:16],
        "url": photo_url("A"),
        "product": "A",
        "source": "catalogue",
        "set": "mine",
        "tags": ["headphones"],
        "paths": [["electronics", "headphones"]],
        "position": 0,
        "content_sha256": None,
    }


def test_the_set_is_the_metadata_files_stem(tmp_path: Path) -> None:
    assert {row["set"] for row in Run(tmp_path, [product("A")]).rows} == {"meta_Things"}


def test_rows_of_one_product_are_merged(tmp_path: Path) -> None:
    run = Run(tmp_path, *_dirty())
    assert run.tags_of("A") == ["bags, cases & sleeves", "mice"]
    assert run.paths_of("A") == [
        ["electronics", "bags, cases & sleeves"],
        ["electronics", "mice"],
    ]
    assert [row["source"] for row in run.rows if row["url"] == photo_url("A")] == ["catalogue"]
    assert [row["source"] for row in run.rows if row["url"] == photo_url("user")] == ["user"]


def test_dirty_categories_are_repaired(tmp_path: Path) -> None:
    run = Run(tmp_path, *_dirty())
    assert run.tags_of("B") == run.tags_of("D")[1:] == ["mice"]
    assert run.paths_of("C") == []


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://m.example/a.JPG", True),
        ("http://127.0.0.1:8765/photos/a.jpeg?size=2#top", True),
        ("https://m.example/a.png?as=.jpg", False),
        ("https://m.example/a.jpg/b", False),
        ("https://m.example/playstation.jpg", True),
        ("https://m.example.jpg", False),
        ("https:///a.jpg", False),
        ("https://m.example/a b.jpg", False),
        ("//m.example/a.jpg", False),
        ("https://m.example/" + "a" * 2048 + ".jpg", False),
        ("https://m.example/a._PKdp-play-icon-overlay__.jpg", False),
        ("https://m.example/a._PKmb-play-button-overlay-thumb_.jpg", False),
        ("https://m.example/a.jpg?next=PKdp-play-icon-overlay", True),
        ("", False),
    ],
)
def test_urls_are_judged_by_their_path(tmp_path: Path, url: str, *, kept: bool) -> None:
    run = Run(tmp_path, [product("A", urls=[url, photo_url("A")])])
    assert run.urls == sorted([photo_url("A")] + [url] * kept)


def test_tags_below_the_minimum_share_and_stop_tags_are_left_out(tmp_path: Path) -> None:
    rows = [product(f"{n}", ["Electronics", "Mice" if n < 5 else "Keyboards"]) for n in range(100)]
    # Reviews and repeated rows do not make a product count twice.
    rows += [product("0", ["Electronics", "Mice"], []) for _ in range(50)]
    run = Run(tmp_path, rows, minimum_share=0.05)
    assert run.vocabulary["products"] == {"keyboards": 95, "mice": 5}
    assert run.vocabulary["of_products"] == 100
    (tmp_path / "again").mkdir()
    run = Run(tmp_path / "again", rows, minimum_share=0.06, stop_tags=frozenset({"keyboards"}))
    assert run.vocabulary["tags"] == ["electronics"]
    assert run.step("vocabulary")["dropped"] == {"below the minimum share": 1, "stop tag": 1}


def test_a_vocabulary_fixes_the_tags_and_its_aliases_rename_segments(tmp_path: Path) -> None:
    file = tmp_path / "tags.json"
    aliases = {"Bags, Cases &amp; Sleeves": ["bags", "cases & sleeves"], "Mice": "mouse"}
    tags = ["bags", "cases & sleeves", "mouse", "never seen"]
    file.write_text(json.dumps({"tags": tags, "aliases": aliases}))
    rows = [
        product("A", ["Electronics", "Bags, Cases & Sleeves"]),
        product("B", ["Electronics", "Mice"]),
        product("C", ["Electronics", "Toys"]),
    ]
    run = Run(tmp_path, rows, vocabulary=file, minimum_share=0.9)
    assert [run.tags_of(asin) for asin in "ABC"] == [["bags", "cases & sleeves"], ["mouse"], []]
    assert run.vocabulary["products"]["never seen"] == 0
    (tmp_path / "again").mkdir()
    again = Run(tmp_path / "again", rows, vocabulary=run.out / "vocabulary.json")
    assert again.rows == [{**row, "set": "meta_Things"} for row in run.rows]


def _shop(products: int) -> list[dict[str, Any]]:
    return [
        product(f"P{n}", urls=[photo_url(f"{n}-{photo}") for photo in range(n % 9)])
        for n in range(products)
    ]


def _shown(products: int) -> list[dict[str, Any]]:
    return [
        {"asin": f"P{n}", "image": [photo_url(f"{n}-u{k}") for k in range(4)]}
        for n in range(products)
    ]


def test_sampling_takes_so_many_of_each_source_and_leaves_poor_products_out(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path, _shop(90), _shown(90), sampling=Sampling(5, 2, 2, seed=1))
    counts: dict[tuple[str, str], int] = {}
    for row in run.rows:
        key = (row["product"], row["source"])
        counts[key] = counts.get(key, 0) + 1
    for n in range(90):
        enough = n % 9 >= 2
        assert counts.get((f"P{n}", "catalogue"), 0) == (min(n % 9, 5) if enough else 0)
        assert counts.get((f"P{n}", "user"), 0) == (2 if enough else 0)
    assert len(set(run.urls)) == len(run.urls)
    assert run.step("products with photos enough")["dropped"] == {"too few catalogue photos": 20}


def test_the_same_seed_takes_the_same_photos_whatever_the_order_of_rows(tmp_path: Path) -> None:
    sampling = Sampling(3, 2, 1, seed=7)
    shop, shown = _shop(60), _shown(60)
    first = Run(tmp_path, shop, shown, sampling=sampling)
    random.Random(0).shuffle(shop)
    random.Random(1).shuffle(shown)
    names = ("shuffled", "fewer", "seed")
    for name in names:
        (tmp_path / name).mkdir()
    shuffled = Run(tmp_path / "shuffled", shop, shown, sampling=sampling)
    assert shuffled.rows == first.rows
    # A product's photos do not depend on which other products there are.
    fewer = Run(tmp_path / "fewer", _shop(30), _shown(60), sampling=sampling)
    assert set(fewer.urls) == {row["url"] for row in first.rows if int(row["product"][1:]) < 30}
    other = Run(tmp_path / "seed", shop, shown, sampling=Sampling(3, 2, 1, seed=8))
    assert other.urls != first.urls


def test_products_without_a_category_are_kept_unless_asked(tmp_path: Path) -> None:
    rows = [product("A"), product("B", [])]
    assert Run(tmp_path, rows).tags_of("B") == []
    (tmp_path / "again").mkdir()
    strict = Sampling(100, 100, 0, seed=0, drop_empty_categories=True)
    run = Run(tmp_path / "again", rows, sampling=strict)
    assert {row["product"] for row in run.rows} == {"A"}
    assert run.step("products with photos enough")["dropped"] == {"without a category": 1}


def test_a_folder_that_holds_something_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/shard.tar").write_text("mine")
    with pytest.raises(DatasetError, match="not empty"):
        Run(tmp_path, [product("A")])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["shard.tar"]


def test_a_killed_prepare_leaves_nothing_that_looks_finished_and_the_next_one_clears_up(
    tmp_path: Path,
) -> None:
    # Python literals take long enough to be killed in the middle.
    metadata = write_lines(tmp_path / "meta.json", (repr(row) for row in _shop(60_000)))
    command = [sys.executable, "tagger.py", "dataset", "prepare", "--metadata", str(metadata)]
    child = subprocess.Popen([*command, "--out", str(tmp_path / "out")])
    unfinished = tmp_path / ".out.unfinished"
    wait_until(unfinished.exists)
    few = write_lines(tmp_path / "few.json", _shop(10))
    with pytest.raises(DatasetError, match="by another process"):
        prepare(PrepareRequest(out=tmp_path / "out", metadata=(few,)))
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert unfinished.exists()
    assert not (tmp_path / "out").exists()
    prepare(PrepareRequest(out=tmp_path / "out", metadata=(few,), sampling=EVERYTHING))
    assert {path.name for path in tmp_path.iterdir()} == {"meta.json", "few.json", "out"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "photos.parquet",
        "report.json",
        "report.md",
        "vocabulary.json",
    }


def test_a_url_that_comes_again_is_shown_with_its_place(tmp_path: Path) -> None:
    run = Run(tmp_path, [product("A"), product("B", urls=[photo_url("b")] * 2)])
    example = run.report["dirt"]["duplicate_url"]["example"]
    assert example == f"meta_Things.json.gz:2: {photo_url('b')}"


def test_words_with_a_pipe_keep_the_tables_of_the_report_whole(tmp_path: Path) -> None:
    Run(tmp_path, write_lines(tmp_path / "a|b.json", [product("A", ["x|y"])]))
    page = (tmp_path / "out/report.md").read_text()
    assert "\n| x\\|y | 1 |\n" in page
    assert "\n| a\\|b.json, amazon 2018 (rows) |" in page
