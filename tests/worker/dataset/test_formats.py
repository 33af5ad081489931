"""Each published form is told by its rows and read into the same photos."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import DatasetError
from tests.worker.dataset.catalogues import Run, photo_url, product, write_lines
from worker.dataset.formats import Role, detect

PATHS = [["electronics", "headphones"], ["electronics", "toys"]]
NESTED = [["Electronics", "Headphones"], ["Electronics", "Toys"]]


def _images(names: str) -> list[dict[str, Any]]:
    return [
        {
            "thumb": f"https://m.example/{name}-thumb.jpg",
            "large": photo_url(name),
            "variant": "MAIN",
        }
        for name in names
    ]


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".gz", ".txt"])
@pytest.mark.parametrize(
    ("row", "form"),
    [
        (
            {
                "asin": "A",
                "category": ["Electronics", "Headphones", "Electronics", "Toys"],
                "imageURL": [photo_url("a"), photo_url("b")],
            },
            "amazon 2018",
        ),
        (
            {"parent_asin": "A", "categories": NESTED, "images": _images("ab")},
            "amazon 2023",
        ),
        (
            {
                "parent_asin": "A",
                "categories": NESTED,
                "images": {
                    "large": [photo_url("a"), None],
                    "hi_res": [photo_url("no"), photo_url("b")],
                    "variant": ["MAIN", "PT01"],
                },
            },
            "amazon 2023",
        ),
    ],
)
def test_metadata_of_every_year_gives_the_same_photos(
    tmp_path: Path, row: dict[str, Any], form: str, suffix: str
) -> None:
    run = Run(tmp_path, write_lines(tmp_path / f"meta{suffix}", [row]))
    assert run.report["parameters"]["files"][0]["form"] == form
    assert run.paths_of("A") == PATHS
    assert run.urls == [photo_url("a"), photo_url("b")]
    assert {row["url"]: row["position"] for row in run.rows} == {
        photo_url("a"): 0,
        photo_url("b"): 1,
    }


def test_the_python_literals_of_2014_are_read(tmp_path: Path) -> None:
    rows = [
        repr(
            {"asin": "A", "title": 'Don\'t "Drink"', "imUrl": photo_url("a"), "categories": NESTED}
        ),
        "{'asin': 'B', 'imUrl': 'https://m.example/\\d.jpg', 'categories': [['Electronics']]}",
        "{'asin': 'C', 'imUrl': {1, 2}}",
        "{'asin': open('/etc/passwd')}",
        "{'asin': " + "[" * 50_000,
        "{'asin': " + "-" * 50_000 + "1}",
    ]
    run = Run(tmp_path, write_lines(tmp_path / "meta.txt.gz", rows))
    assert run.report["parameters"]["files"][0]["form"] == "amazon 2014"
    assert run.paths_of("A") == PATHS
    assert run.urls == [photo_url("a")]
    assert run.dirt["broken_line"] == 4


@pytest.mark.parametrize(
    "review",
    [
        {"asin": "A", "image": [photo_url("u")]},
        {"asin": "A", "image": photo_url("u")},
        {"asin": "A", "image": f"['{photo_url('u')}']"},
        {
            "asin": "variant",
            "parent_asin": "A",
            "images": [
                {
                    "small_image_url": "https://m.example/small.jpg",
                    "medium_image_url": photo_url("u"),
                    "large_image_url": "https://m.example/large.jpg",
                }
            ],
        },
        {"asin": "variant", "parent_asin": "A", "images": {"medium_image_url": [photo_url("u")]}},
    ],
)
def test_reviews_of_every_year_join_their_product(tmp_path: Path, review: dict[str, Any]) -> None:
    run = Run(tmp_path, [product("A", urls=[])], [review])
    assert [(row["url"], row["source"]) for row in run.rows] == [(photo_url("u"), "user")]


def _cell(name: str, value: str | list[Any]) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value) if name == "categories" else "|".join(value)


PLAIN = {"product": "A", "catalogue_urls": [photo_url("a")], "user_urls": [photo_url("u")]}


@pytest.mark.parametrize(
    "row",
    [
        {**PLAIN, "categories": NESTED},
        {**PLAIN, "categories": "Electronics > Headphones|Electronics > Toys"},
        {**PLAIN, "categories": json.dumps(NESTED)},
    ],
)
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_other_marketplaces_bring_json_lines_or_csv(
    tmp_path: Path, row: dict[str, Any], form: str
) -> None:
    file = tmp_path / f"shop.{form}"
    if form == "csv":
        with file.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, ["note", *row])
            writer.writeheader()
            cells = {name: _cell(name, value) for name, value in row.items()}
            writer.writerow({"note": 'two\n"lines", quoted', **cells})
    else:
        write_lines(file, [row])
    run = Run(tmp_path, products=file)
    assert run.paths_of("A") == PATHS
    assert [
        (row["url"], row["source"]) for row in sorted(run.rows, key=lambda row: row["url"])
    ] == [
        (photo_url("a"), "catalogue"),
        (photo_url("u"), "user"),
    ]
    assert {row["set"] for row in run.rows} == {"shop"}


def test_csv_rows_that_do_not_fit_their_header_are_counted(tmp_path: Path) -> None:
    lines = [
        "product,categories,catalogue_urls",
        f"A,Electronics > Mice,{photo_url('a')}|{photo_url('b')}",
        "B,Electronics",
        "",
        "C,Electronics,x,y",
        f'D,"[""Electronics"", ""Mice""]","[""{photo_url("d")}""]"',
        'E,"never closed',
    ]
    run = Run(tmp_path, products=write_lines(tmp_path / "shop.csv", lines))
    assert run.urls == [photo_url("a"), photo_url("b"), photo_url("d")]
    assert run.dirt == {"broken_line": 3, "blank_line": 1}
    assert run.tags_of("A") == run.tags_of("D")


def test_a_csv_line_that_is_dropped_is_shown_with_its_place_in_the_file(tmp_path: Path) -> None:
    lines = ["", "product,catalogue_urls", "", f'"A",{photo_url("a")}', 'B,"x" > y', "C"]
    run = Run(tmp_path, products=write_lines(tmp_path / "shop.csv", lines))
    assert run.report["dirt"]["broken_line"]["count"] == 2
    assert run.report["dirt"]["broken_line"]["example"] == 'shop.csv:5: B,"x" > y'
    assert run.report["dirt"]["empty_category"]["example"] == "shop.csv:4: null"


def test_dropped_csv_lines_do_not_pile_up(tmp_path: Path) -> None:
    rows = ["product,catalogue_urls", f"A,{photo_url('a')}", *["broken"] * 25_000]
    blocks = list(detect(write_lines(tmp_path / "shop.csv", rows), "products").blocks())
    assert sum(len(block.rejected) for block in blocks) == 25_000
    assert max(len(block.rejected) for block in blocks) <= 10_000


def test_spaces_around_the_names_of_csv_columns_do_not_matter(tmp_path: Path) -> None:
    rows = ["product, categories , catalogue_urls", f"A,Mice,{photo_url('a')}"]
    run = Run(tmp_path, products=write_lines(tmp_path / "shop.csv", rows))
    assert (run.urls, run.tags_of("A")) == ([photo_url("a")], ["mice"])


@pytest.mark.parametrize("quoted", ["", '"P9",Mice,http://m.example/9.jpg\n'])
def test_an_open_quote_in_a_csv_hides_no_line(tmp_path: Path, quoted: str) -> None:
    lines = [f"P{n},Mice,http://m.example/{n}.jpg\n" for n in range(6)]
    lines[3] = 'P3,Mice,"http://m.example/3.jpg\n'
    file = tmp_path / "shop.csv"
    file.write_text("product,categories,catalogue_urls\n" + "".join(lines) + quoted)
    run = Run(tmp_path, products=file)
    assert {row["product"] for row in run.rows} == {"P0", "P1", "P2"}
    assert run.dirt == {"broken_line": 3 + bool(quoted)}


@pytest.mark.parametrize(
    ("content", "role", "complaint"),
    [
        (b"", "metadata", "has no line of text"),
        (b"\n \n", "reviews", "has no line of text"),
        (b"\x00\x01\x02\xff", "metadata", "has no line of text"),
        (b"hello\nworld\n", "metadata", "none of the first 2 lines"),
        (b'{"id": 1}\n', "metadata", "has the keys of metadata; they have 'id'"),
        (b'{"asin": "A", "image": []}\n', "products", "has the keys of products"),
        (b"id,urls\n", "products", "has the keys of products; they have 'id', 'urls'"),
        (b"\x1f\x8b", "metadata", "has no line of text"),
        (b'product,catalogue_urls,"a"b\nA,x,y\n', "products", "the first is no CSV header"),
        (b"product,product,user_urls\n", "products", "several columns called 'product'"),
        (b'{"asin": "A", "overall": 5.0, "image": []}', "metadata", "give it as --reviews"),
        (b'{"asin": "A", "category": ["x"]}', "reviews", "give it as --metadata"),
    ],
)
def test_a_file_of_no_known_form_is_one_clear_error(
    tmp_path: Path, content: bytes, role: Role, complaint: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=complaint):
        detect(file, role)


def test_a_missing_file_and_a_folder_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        detect(tmp_path / "nothing", "metadata")
    with pytest.raises(DatasetError, match="Is a directory"):
        detect(tmp_path, "metadata")


def test_some_broken_lines_before_the_first_row_do_not_hide_the_form(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "meta", ["{", "", "[1]", '{"asin": "A", "imUrl": "x"}'])
    assert detect(file, "metadata").form.name == "amazon 2014"
