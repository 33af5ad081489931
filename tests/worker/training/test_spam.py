"""A judge of spam is fitted to products, or to none where they say too little."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.domain.spam import SpamJudge
from tagger import app
from tests.worker.judging.shop import TAGS, THRESHOLDS, fitted, related, shop
from tests.worker.model.drafts import draft
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
