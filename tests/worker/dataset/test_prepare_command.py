"""`tagger dataset prepare` prints each step's balance, and words its failures."""

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from shared.errors import DatasetError, TaggerError
from tagger import app
from tests.worker.dataset.catalogues import photo_url, product, write_lines


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    done = CliRunner().invoke(app, ["dataset", "prepare", *arguments])
    if isinstance(done.exception, TaggerError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_table_says_what_each_step_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "AB":
        rows = [product(name, urls=[photo_url(f"{name}{n}") for n in range(3)]), "{"]
        write_lines(tmp_path / f"meta_{name}.json.gz", rows)
    out = tmp_path / "out"
    words = ["--metadata", str(tmp_path / "meta_*.json.gz"), "--out", str(out), "--catalogue", "2"]
    said = _run(monkeypatch, *words, "--set", "mine")
    assert "1 broken_line" in said
    assert "2 catalogue photos not sampled" in said
    assert f"4 photos of 1 tags are in {out}" in said
    rows = duckdb.read_parquet(str(out / "photos.parquet"))
    assert rows.project("product, set, tags").distinct().order("product").fetchall() == [
        ("A", "mine", ["headphones"]),
        ("B", "mine", ["headphones"]),
    ]


def test_stop_tags_are_given_in_any_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_lines(tmp_path / "meta.json", [product("A")])
    words = ["--metadata", str(file), "--out", str(tmp_path / "out"), "--min-catalogue", "1"]
    _run(monkeypatch, *words, "--stop-tag", "Headphones")
    rows = duckdb.read_parquet(str(tmp_path / "out/photos.parquet"))
    assert rows.project("tags").fetchall() == [(["electronics"],)]


def test_nothing_to_read_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "out")
    with pytest.raises(DatasetError, match="neither metadata nor products"):
        _run(monkeypatch, "--out", out)
    for name in ("none*.json", "no**glob"):
        with pytest.raises(DatasetError, match=f"{re.escape(name)}: No such file"):
            _run(monkeypatch, "--out", out, "--metadata", str(tmp_path / name))


def test_without_duckdb_the_extra_to_install_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['duckdb'] = None;"
        f"sys.argv[1:] = ['dataset', 'prepare', '--out', {str(tmp_path / 'out')!r}];"
        "import tagger; tagger.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"setup_error:")
    assert b"duckdb is missing: install the extra `train`" in done.stderr


def test_names_that_look_like_markup_are_shown_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "[").mkdir()
    file = write_lines(tmp_path / "[red]meta.json", [product("A")])
    out = tmp_path / "[/b]"
    said = _run(monkeypatch, "--metadata", str(file), "--out", str(out), "--min-catalogue", "1")
    assert "[red]meta.json, amazon 2018 (rows)" in said
    assert f"are in {out};" in said


@pytest.mark.parametrize("which", ["file", "out", "set"])
def test_names_that_are_not_utf8_are_one_clear_error_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    odd = os.fsdecode(b"\xff")
    names = {"file": "meta.json", "out": "out", "set": "set"} | {which: odd}
    file = write_lines(tmp_path / names["file"], [product("A")])
    words = ["--metadata", str(file), "--out", str(tmp_path / names["out"]), "--set", names["set"]]
    with pytest.raises(DatasetError, match="is not UTF-8"):
        _run(monkeypatch, *words)
    assert list(tmp_path.iterdir()) == [file]


def test_a_stop_tag_is_cleaned_like_the_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_lines(tmp_path / "meta.json", [product("A", ["Toys", "Mice &amp;  Rats"])])
    words = ["--metadata", str(file), "--out", str(tmp_path / "out"), "--min-catalogue", "1"]
    _run(monkeypatch, *words, "--stop-tag", "Mice &amp;  Rats", "--stop-tag", os.fsdecode(b"\xff"))
    rows = duckdb.read_parquet(str(tmp_path / "out/photos.parquet"))
    assert rows.project("tags").fetchall() == [(["toys"],)]
