"""`tagger related`: what it recommends, draws and writes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import tagger
from shared.errors import DatasetError
from tagger import app
from tests.worker.judging.filed import filed
from tests.worker.training.shapes import row, write_rows
from worker.judging.filings import Filing
from worker.judging.related_plots import plot_map, plot_matrix, tag_map
from worker.judging.related_report import RelatedOptions, find_related, main_categories

CATALOGUE = [
    *(filed(f"c{number}", "Electronics", "Computers", "Cables", rows=2) for number in range(6)),
    *(filed(f"h{number}", "Electronics", "Computers", "Hubs", "Cables") for number in range(4)),
    *(filed(f"k{number}", "Kitchen", "Mugs") for number in range(5)),
    filed("odd", "Kitchen", "Hubs"),
]


def _options(**changed: Any) -> RelatedOptions:
    plain: dict[str, Any] = {
        "measure": "cosine",
        "minimum_share": 0.0,
        "minimum_support": 1,
        "cutoff": 0.2,
        "limit": 10,
        "normalised": True,
        "paper_faithful": False,
    }
    return RelatedOptions(**plain | changed)


def test_products_are_counted_and_not_rows() -> None:
    facts = find_related(CATALOGUE, _options(), ["Hubs"]).facts
    assert (facts["products"], facts["rows"]) == (16, 22)
    # Hubs are on 5 products, cables and computers on 10, 4 of them with hubs.
    alike = pytest.approx(4 / 50**0.5)
    assert facts["recommended"][:2] == [("cables", alike), ("computers", alike)]


def test_tags_below_the_support_are_left_out_and_their_pairs_too() -> None:
    findings = find_related(CATALOGUE, _options(minimum_support=5, cutoff=0.0), ["hubs"])
    assert findings.support == {"cables": 10, "computers": 10, "hubs": 5, "kitchen": 6, "mugs": 5}
    assert findings.facts["recommended"] == []


def test_tags_that_the_matrix_lacks_are_named() -> None:
    facts = find_related(CATALOGUE, _options(), ["labeling tapes", "Mugs"]).facts
    assert facts["unknown"] == ["labeling tapes"]
    assert [name for name, _ in facts["recommended"]] == ["kitchen"]


def test_no_tag_left_is_an_error() -> None:
    with pytest.raises(DatasetError, match="no tag is on"):
        find_related(CATALOGUE, _options(minimum_support=99), [])


def test_the_main_category_is_the_root_on_most_products() -> None:
    assert main_categories(CATALOGUE, ["hubs", "mugs", "elsewhere"]) == {
        "hubs": "computers",
        "mugs": "kitchen",
    }


def test_similar_tags_are_drawn_side_by_side(tmp_path: Path) -> None:
    matrix = np.eye(4, dtype=np.float32)
    matrix[0, 2] = matrix[2, 0] = matrix[1, 3] = matrix[3, 1] = 0.9
    drawn = plot_matrix(tmp_path / "matrix.png", ["a", "b", "a too", "b $x$"], matrix, "50 % $")
    assert abs(drawn.index("a") - drawn.index("a too")) == 1
    assert abs(drawn.index("b") - drawn.index("b $x$")) == 1
    with Image.open(tmp_path / "matrix.png") as picture:
        assert picture.format == "PNG"
        assert len(set(picture.convert("RGB").get_flattened_data())) > 50


@pytest.mark.parametrize("tags", [1, 2])
def test_a_matrix_of_hardly_any_tags_is_drawn(tmp_path: Path, tags: int) -> None:
    names = ["a", "b"][:tags]
    assert plot_matrix(tmp_path / "matrix.png", names, np.eye(tags, dtype=np.float32), "") == names


def test_the_map_is_the_same_for_the_same_seed_and_puts_like_by_like() -> None:
    matrix = np.kron(np.eye(3), np.full((8, 8), 0.8)).astype(np.float32)
    places = tag_map(matrix, seed=1)
    assert np.array_equal(places, tag_map(matrix, seed=1))
    clusters = places.reshape(3, 8, 2)
    centres = clusters.mean(axis=1)
    radius = np.linalg.norm(clusters - centres[:, None], axis=2).max()
    between = min(np.linalg.norm(centres[one] - centres[one - 1]) for one in range(3))
    assert between > 2 * radius


def test_points_in_one_place_all_get_their_label(tmp_path: Path) -> None:
    names = [f"tag {number}" for number in range(12)]
    plot_map(tmp_path / "map.png", names, np.zeros((12, 2)), {"tag 1": "one", "tag 2": "$2"})
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size == (1560, 1080)


def test_the_command_writes_the_page_the_figures_and_the_pictures(tmp_path: Path) -> None:
    more = [filed(f"t{number}", f"Things {number}") for number in range(6)]
    _write(tmp_path, [*CATALOGUE, *more])
    out = tmp_path / "out" / "here"
    arguments = ["--data", str(tmp_path), "--out", str(out), "--minimum-support", "1"]
    done = CliRunner().invoke(
        app, ["related", *arguments, "--paper-faithful", "--measure", "overlap", "hubs", "tapes"]
    )
    assert done.exit_code == 0, done.output
    assert "not in the matrix: tapes" in done.output
    written = json.loads((out / "related.json").read_text())
    assert written["options"]["measure"] == "overlap"
    assert written["names"][:5] == ["cables", "computers", "hubs", "kitchen", "mugs"]
    assert written["recommended"][0] == ["cables", 0.8]
    # First sight is computers, cables, hubs, kitchen, mugs; the columns are sorted.
    assert written["paper_faithful"]["misnamed"] == [
        ["computers", "cables"],
        ["cables", "computers"],
    ]
    page = (out / "report.md").read_text()
    assert "**2 of its 11 columns carry another column's name**" in page
    for picture in ("matrix.png", "map.png"):
        assert f"({picture})" in page
        assert (out / picture).read_bytes().startswith(b"\x89PNG")


def test_a_handful_of_tags_gets_no_map(tmp_path: Path) -> None:
    _write(tmp_path, CATALOGUE[:3])
    out = tmp_path / "out"
    arguments = ["--data", str(tmp_path), "--out", str(out), "--minimum-support", "1"]
    done = CliRunner().invoke(app, ["related", *arguments])
    assert done.exit_code == 0, done.output
    assert not (out / "map.png").exists()
    assert "map.png" not in (out / "report.md").read_text()


def test_tags_that_look_like_markup_are_shown_and_nothing_is_said_in_a_word(
    tmp_path: Path,
) -> None:
    both = filed("a", "[/b]", "Mugs")
    _write(tmp_path, [both, filed("b", "Hubs")])
    arguments = ["--data", str(tmp_path), "--minimum-support", "1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["related", *arguments, "mugs"])
    assert done.exit_code == 0, done.output
    assert "[/b]" in done.output
    done = CliRunner().invoke(app, ["related", *arguments, "hubs"])
    assert done.stdout.startswith("recommended: nothing\n")


def test_a_tag_that_is_not_utf8_is_one_clear_error(tmp_path: Path) -> None:
    _write(tmp_path, CATALOGUE)
    arguments = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["related", *arguments, os.fsdecode(b"m\xf6bel")])
    assert isinstance(done.exception, DatasetError)
    assert "is not UTF-8" in str(done.exception)


def test_the_page_is_utf8_in_any_locale(tmp_path: Path) -> None:
    _write(tmp_path, [filed("a", "Möbel"), filed("b", "Möbel")])
    arguments = ["related", "--data", str(tmp_path), "--out", "out", "--minimum-support", "1"]
    script = f"import sys, tagger; sys.argv[1:] = {[*arguments, 'möbel']!a}; tagger.main()"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **plain, "PYTHONPATH": str(Path(tagger.__file__).parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "möbel" in (tmp_path / "out/report.md").read_text("utf-8")


def _write(folder: Path, filings: list[Filing]) -> None:
    rows = [
        row(f"{filing.product}-{number}.jpg", product=filing.product)
        | {"tags": list(filing.tags), "paths": [list(path) for path in filing.paths]}
        for filing in filings
        for number in range(filing.rows)
    ]
    write_rows(folder, rows)
