"""A judge of spam is fitted to products, or to none where they say too little."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from shared.domain.spam import SpamJudge
from shared.settings import DEFAULT_MODEL
from tagger import app
from tests.worker.judging.shop import TAGS, THRESHOLDS, fitted, related, shop
from tests.worker.model.drafts import draft
from tests.worker.training.shapes import row, write_rows, write_shapes
from worker.dataset.labelled import read_dataset
from worker.model.artifact import write
from worker.training import spam
from worker.training.spam import fit


@pytest.fixture(scope="module")
def judge() -> SpamJudge:
    """Fitted to products of clear kinds."""
    return fitted(shop(1))


def test_names_on_too_few_products_are_not_judged(judge: SpamJudge) -> None:
    assert judge.names == ("cables", "headphones", "hubs")


def test_names_that_go_together_do_not_speak_against_each_other(judge: SpamJudge) -> None:
    cables, headphones, hubs = range(3)
    assert judge.apart[cables, headphones]
    assert judge.apart[headphones, hubs]
    assert not judge.apart[cables, hubs]
    assert not judge.apart.diagonal().any()


def test_a_tag_implies_what_stands_above_it() -> None:
    products = shop(1)
    judge = fit(products, TAGS, THRESHOLDS, {"cables": "headphones"}, related(products))
    assert judge is not None
    assert judge.implied.tolist() == [[True, False], [True, True], [False, False]]


def test_where_no_name_is_frequent_there_is_no_judge() -> None:
    few = shop(1, 40)
    assert fit(few, TAGS, THRESHOLDS, {}, related(few)) is None


def test_where_nothing_is_precise_enough_there_is_no_judge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    products = shop(1)
    monkeypatch.setattr(spam, "MIN_FLAGGED", 10**6)
    assert fit(products, TAGS, THRESHOLDS, {}, related(products)) is None


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "model", draft(), "# Card\n")
    arguments = ["spam", str(tmp_path / "model"), "--data", str(tmp_path), "--out", str(tmp_path)]
    failed = CliRunner().invoke(app, arguments)
    assert failed.exit_code
    assert "has no judge of spam yet: --fit makes one" in str(failed.exception)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Photos of products with names that the shipped model's judge knows."""
    folder = write_shapes(tmp_path / "drawn", 60)
    rows = [row(f"photos/{number:04}.jpg", product=f"product{number}") for number in range(60)]
    for number, entry in enumerate(rows):
        entry["tags"] = ["headphones" if number % 2 else "keyboards"]
    write_rows(folder, rows)
    return folder


def _judged(tmp_path: Path, data: Path, provenance: dict[str, Any]) -> Result:
    """What the command says of the shipped model, had it come about otherwise."""
    model = shutil.copytree(DEFAULT_MODEL, tmp_path / "model")
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["provenance"] |= provenance
    (model / "manifest.json").write_text(json.dumps(manifest))
    arguments = ["spam", str(model), "--data", str(data), "--out", str(tmp_path), "--seed", "5"]
    return CliRunner().invoke(app, arguments)


def test_it_judges_what_the_training_with_its_own_seed_left_unseen(
    tmp_path: Path, data: Path
) -> None:
    recipe = {"split": "product", "seed": 3}
    trained_on = read_dataset(data).sha256
    done = _judged(tmp_path, data, {"dataset_sha256": trained_on, "recipe": recipe})
    assert done.exit_code == 0, done.exception
    found = json.loads((tmp_path / "spam.json").read_text())
    assert (found["trained_on"], found["split_seed"], found["seed"]) == (True, 3, 5)
    assert "WARNING" not in done.output


def test_data_of_which_nothing_is_known_to_be_unseen_is_refused(tmp_path: Path, data: Path) -> None:
    by_photo = {"split": "image", "seed": 3}
    trained_on = read_dataset(data).sha256
    failed = _judged(tmp_path, data, {"dataset_sha256": trained_on, "recipe": by_photo})
    assert "nothing of it is known to be unseen" in str(failed.exception)


def test_other_data_than_the_models_own_is_warned_of(tmp_path: Path, data: Path) -> None:
    done = _judged(tmp_path, data, {})
    assert done.exit_code == 0, done.exception
    assert "not the data set that the model was trained on" in " ".join(done.output.split())
    assert not json.loads((tmp_path / "spam.json").read_text())["trained_on"]
