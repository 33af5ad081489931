"""`tagger evaluate`: the model that ships, judged on drawn photos, and the report it leaves."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import tagger
from shared.errors import ArtifactError, DatasetError, SetupError
from shared.settings import DEFAULT_MODEL
from tests.worker.training.shapes import row, write_rows, write_shapes
from worker.dataset.labelled import read_dataset
from worker.dataset.split import split
from worker.judging.evaluate import Request, evaluate
from worker.judging.labelled_scores import MAX_CHUNK_PHOTOS, choose, score
from worker.model.artifact import load

PLOTS = {"by_tag.png", "pr_curves.png", "thresholds.png", "calibration.png", "mistakes.png"}
KNOWN = load(DEFAULT_MODEL).vocabulary[:2]


def _rows(photos: int) -> list[dict[str, Any] | str]:
    rows: list[dict[str, Any] | str] = []
    for number in range(photos):
        entry = row(f"photos/{number:04}.jpg", product=f"product{number // 2}")
        entry["tags"] = [[KNOWN[0]], [*KNOWN, "left [shoes] | $"], []][number % 3]
        entry["source"] = ["catalogue", "user"][number % 2]
        entry["set"] = "big" if number < photos * 2 // 3 else "[red]small"
        rows.append(entry)
    return rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 photos, of which one is no picture; a row of a photo that is gone, and no row at all."""
    folder = write_shapes(tmp_path_factory.mktemp("data") / "drawn", 30)
    write_rows(folder, [*_rows(30), "not JSON", row("photos/gone.jpg")])
    (folder / "photos/0004.jpg").write_bytes(b"<html>404</html>")
    return folder


@pytest.fixture(scope="module")
def out(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report on all of the data."""
    folder = tmp_path_factory.mktemp("report")
    evaluate(_request(data), folder)
    return folder


@pytest.fixture(scope="module")
def found(out: Path) -> dict[str, Any]:
    """`report.json`."""
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def _request(folder: Path, **changes: Any) -> Request:
    entries: dict[str, Any] = {"model": DEFAULT_MODEL, "data": folder, "bootstrap": 20}
    return Request(**(entries | changes))


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(tagger.app, ["evaluate", *map(str, arguments)])


def test_the_report_is_whole(out: Path, found: dict[str, Any]) -> None:
    assert {path.name for path in out.iterdir()} == {"report.json", "report.md", *PLOTS}
    assert found["overall"]["photos"] == 29
    assert found["overall"].keys() >= {
        *("hamming", "hamming_nonempty", "exact_match", "map", "macro_f1", "micro_f1")
    }
    assert found["by_set"].keys() == found["set"].keys() == {"big", "[red]small"}
    assert found["by_source"].keys() == {"catalogue", "user"}


def test_the_report_says_what_was_left_aside(found: dict[str, Any]) -> None:
    data = found["data"]
    assert data["rejected_rows"] == {"broken_json": 1}
    assert data["unreadable_photos"] == {"not_an_image": 1, "missing_photo": 1}
    assert data["unknown_tags"] == {"left [shoes] | $": 9}
    unseen = set(load(DEFAULT_MODEL).vocabulary) - set(KNOWN)
    assert set(data["tags_without_photos"]) == unseen
    assert data["trained_on"] is False


def test_the_page_shows_every_plot_and_keeps_its_tables_whole(out: Path) -> None:
    page = (out / "report.md").read_text()
    for plot in PLOTS:
        assert f"]({plot})" in page
        assert (out / plot).read_bytes().startswith(b"\x89PNG")
    assert "flatter" in page
    assert r"left [shoes] \| $ 9" in page
    assert "{" not in page


def test_what_is_judged_is_the_model_with_its_own_thresholds(
    data: Path, found: dict[str, Any]
) -> None:
    artifact = load(DEFAULT_MODEL)
    scored = score(read_dataset(data), artifact)
    given = (scored.scores >= artifact.thresholds).sum(axis=0)
    assert [tag["answers"] for tag in found["by_tag"].values()] == given.tolist()
    assert [tag["threshold"] for tag in found["by_tag"].values()] == pytest.approx(
        artifact.thresholds.tolist(), abs=1e-6
    )


def test_the_same_command_writes_the_same_bytes(data: Path, out: Path, tmp_path: Path) -> None:
    evaluate(_request(data), tmp_path)
    for file in out.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_a_part_is_what_a_training_with_that_seed_makes_of_it(data: Path) -> None:
    dataset = read_dataset(data)
    parts = [choose(dataset, part, 5, ()).judged.photos for part in ("train", "validation", "test")]
    assert sorted(photo.photo for part in parts for photo in part) == sorted(
        photo.photo for photo in dataset.photos
    )
    for part, photos in zip(("train", "validation", "test"), parts, strict=True):
        assert list(photos) == [
            photo
            for photo, its_part in zip(dataset.photos, split(dataset.photos, 5), strict=True)
            if its_part == part
        ]


def test_a_set_that_is_left_out_is_judged_apart(data: Path, tmp_path: Path) -> None:
    done = _run(
        *(DEFAULT_MODEL, "--data", data, "--out", tmp_path, "--bootstrap", "20"),
        *("--leave-out", "[red]small"),
    )
    assert "sets judged apart" in done.output
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["by_set"].keys() == {"big"}
    assert found["overall"]["photos"] == 19
    assert found["left_out"]["by_set"].keys() == {"[red]small"}
    assert found["left_out"]["overall"]["photos"] == 10
    assert found["left_out"]["intervals"]["resamples"] == 20
    assert "Sets judged apart" in (tmp_path / "report.md").read_text()


def test_a_model_judged_on_what_it_was_trained_on_is_told_so(data: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(DEFAULT_MODEL, model)
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["provenance"]["dataset_sha256"] = read_dataset(data).sha256
    (model / "manifest.json").write_text(json.dumps(manifest))
    found = evaluate(_request(data, model=model), tmp_path / "out")
    assert found["data"]["trained_on"] is True
    assert "was trained on this data set" in (tmp_path / "out/report.md").read_text()


def test_photos_are_scored_the_same_in_however_many_chunks(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, dataset = load(DEFAULT_MODEL), read_dataset(data)
    whole = score(dataset, artifact)
    progress: list[int] = []
    monkeypatch.setattr("worker.judging.labelled_scores.MAX_CHUNK_PHOTOS", 7)
    chunked = score(dataset, artifact, on_progress=progress.append)
    assert MAX_CHUNK_PHOTOS > 31
    assert progress == [7, 14, 21, 28, 31]
    assert np.array_equal(chunked.scores, whole.scores)
    assert np.array_equal(chunked.truth, whole.truth)
    assert chunked.rejected == whole.rejected
    assert chunked.complaints == whole.complaints


def test_a_chunk_without_a_readable_photo_does_not_stop_the_others(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.judging.labelled_scores.MAX_CHUNK_PHOTOS", 1)
    found = score(read_dataset(data), load(DEFAULT_MODEL))
    assert len(found.scores) == len(found.dataset.photos) == 29
    assert found.rejected.total() == 2


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"model": Path("no/such/model")}, ArtifactError, "manifest.json"),
        ({"data": Path("no/such/data")}, DatasetError, "No such file"),
        (
            {"leave_out": ["nowhere"]},
            DatasetError,
            r"no such set to leave out: nowhere; among its sets are \[red\]small, big, drawn",
        ),
        ({"leave_out": ["big", "[red]small", "drawn"]}, DatasetError, "no photo is left"),
    ],
)
def test_what_cannot_be_judged_is_told_before_anything_is_written(
    data: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        evaluate(_request(data, **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_data_set_without_a_readable_photo_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path, _rows(3))
    with pytest.raises(DatasetError, match="no readable photo") as caught:
        evaluate(_request(tmp_path), tmp_path / "out")
    assert str(caught.value).count("cannot be used") == 1


def test_a_folder_that_cannot_be_written_is_told(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError, match="file"):
        evaluate(_request(data), tmp_path / "file")


def test_a_folder_that_takes_no_file_is_told_before_a_photo_is_decoded(
    data: Path, tmp_path: Path
) -> None:
    def scored(*_: int) -> None:
        pytest.fail("photos were scored")

    (tmp_path / ".report.json").mkdir()
    with pytest.raises(SetupError, match="Is a directory"):
        evaluate(_request(data), tmp_path, on_progress=scored)


def test_data_in_a_folder_whose_name_is_not_utf8_is_judged_too(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / os.fsdecode(b"m\xf6bel"), 3)
    found = evaluate(_request(folder), tmp_path / "out")
    assert found["data"]["folder"] == "m?bel"
    assert json.loads((tmp_path / "out/report.json").read_text())["data"] == found["data"]


def test_data_without_any_known_tag_is_judged_too(tmp_path: Path) -> None:
    write_shapes(tmp_path / "data", 6)
    found = evaluate(_request(tmp_path / "data"), tmp_path / "out")
    assert found["overall"]["photos_nonempty"] == 0
    assert found["overall"]["map"] is None
    assert found["data"]["photos_with_unknown_tags"] == 4


def test_the_command_prints_the_slices_and_where_the_report_is(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = _run(DEFAULT_MODEL, "--data", data, "--out", out, "--bootstrap", "10")
    assert done.exit_code == 0, done.output
    assert "[red]small" in done.output
    assert f"The report is in {out}." in done.output
    assert "3 rows or photos could not be used" in done.output
    assert (out / "report.json").exists()


def test_the_command_says_how_many_photos_have_tags_that_the_model_does_not_know(
    tmp_path: Path,
) -> None:
    write_shapes(tmp_path / "data", 6)
    done = _run(DEFAULT_MODEL, "--data", tmp_path / "data", "--out", tmp_path / "out")
    assert "does not know 3 tags of the labels: 4 photos are judged as if without" in done.output
    # No bar where nobody watches it.
    assert not done.stderr


def test_without_the_extra_the_command_says_which_to_install(data: Path, tmp_path: Path) -> None:
    arguments = ["tagger", "evaluate", str(DEFAULT_MODEL), "--data", str(data), "--out", "out"]
    script = (
        "import sys; sys.modules['sklearn'] = None; import tagger; "
        f"sys.argv = {arguments!r}; tagger.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(Path(tagger.__file__).parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "sklearn" in done.stderr
    assert "install the extra `train`" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_part_is_refused(data: Path, tmp_path: Path) -> None:
    done = _run(DEFAULT_MODEL, "--data", data, "--out", tmp_path / "out", "--part", "half")
    assert done.exit_code == 2
    assert "half" in done.output
