"""New thresholds are read with care, and applied page by page."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from shared.domain.decision import Decision
from shared.errors import DecisionError
from shared.settings import Settings
from tests.marketplace import DECISION, claim_all, event, record, register, rows, settle, tagged
from worker.model import rethreshold
from worker.model.rethreshold import apply, changed, parse_thresholds, put_in_force


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"camera": 0.3}, {"camera": 0.3}),
        ({"thresholds": {"camera": 0.3, "cable": 1}}, {"camera": 0.3, "cable": 1.0}),
        ({"thresholds": 0.3}, 0.3),
        (0.3, 0.3),
    ],
)
def test_a_file_holds_thresholds_in_one_of_three_forms(
    tmp_path: Path, content: object, expected: object
) -> None:
    (tmp_path / "thresholds.json").write_text(json.dumps(content))
    assert parse_thresholds(str(tmp_path / "thresholds.json")) == expected


def test_a_number_needs_no_file() -> None:
    assert parse_thresholds("0.25") == 0.25
    assert parse_thresholds(None) is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not JSON"),
        ("[0.1]", "a number"),
        ('{"camera": "0.1"}', "camera: a threshold is a number"),
        ('{"camera": true}', "camera: a threshold is a number"),
        ('"0.1"', "a number"),
        ("[" * 100_000, "not JSON"),
        ("0,5", "not JSON"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    tmp_path: Path, content: str, complaint: str
) -> None:
    (tmp_path / "thresholds.json").write_text(content)
    with pytest.raises(DecisionError, match=complaint):
        parse_thresholds(str(tmp_path / "thresholds.json"))


def test_an_integer_that_no_float_holds_is_out_of_range(tmp_path: Path) -> None:
    (tmp_path / "thresholds.json").write_text(f'{{"camera": 1{"0" * 400}}}')
    found = parse_thresholds(str(tmp_path / "thresholds.json"))
    with pytest.raises(DecisionError, match="camera: inf"):
        changed(DECISION, thresholds=found)


def test_what_is_tried_out_has_the_digits_that_are_stored() -> None:
    new = changed(DECISION, thresholds=0.12345678)
    assert new.thresholds.tolist() == Decision.from_json(new.to_json()).thresholds.tolist()


def test_a_file_that_is_not_there_or_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DecisionError, match="No such file"):
        parse_thresholds(str(tmp_path / "nothing.json"))
    with pytest.raises(DecisionError, match="0,5 is neither a number nor a file"):
        parse_thresholds("0,5")
    monkeypatch.setattr(rethreshold, "MAX_FILE_BYTES", 5)
    (tmp_path / "thresholds.json").write_text("0.100000")
    with pytest.raises(DecisionError, match="more than 5 bytes"):
        parse_thresholds(str(tmp_path / "thresholds.json"))


def test_a_tag_that_is_not_named_keeps_its_threshold() -> None:
    new = changed(DECISION, thresholds={"cable": 0.25}, related_cutoff=0.4)
    assert new.thresholds.tolist() == [0.5, 0.25]
    assert new.related.cutoff == 0.4
    assert (DECISION.thresholds.tolist(), DECISION.related.cutoff) == ([0.5, 0.5], 0.2)
    assert changed(DECISION, thresholds=0.75).thresholds.tolist() == [0.75, 0.75]
    assert changed(DECISION).to_json() == DECISION.to_json()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"thresholds": {"drone": 0.5}}, "no tag 'drone'"),
        ({"thresholds": {"camera": 0.0}}, "camera: 0.0"),
        ({"thresholds": {"camera": float("nan")}}, "camera: nan"),
        ({"thresholds": 1.5}, "1.5"),
        ({"thresholds": 1e-7}, "0 in six digits"),
        ({"related_cutoff": -0.1}, "cutoff"),
        ({"related_cutoff": float("inf")}, "cutoff"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DecisionError, match=complaint):
        changed(DECISION, **changes)


def test_all_pages_are_decided_and_a_broken_sweep_goes_on(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rethreshold, "PAGE_LISTINGS", 3)
    with engine.begin() as connection:
        model_id = register(connection)
    record(engine, settings, *(event(f"L{number}") for number in range(10)))
    settle(engine, *(tagged(claim, model_id, [0.4, 0.1]) for claim in claim_all(engine)))
    wanted = changed(DECISION, thresholds=0.3)
    assert apply(engine, model_id, trial=wanted).listings_changed == 10
    put_in_force(engine, model_id, wanted, reason="test")

    def interrupt(done: int, _total: int) -> None:
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(engine, model_id, on_progress=interrupt)
    assert rows(engine, "SELECT count(*) FROM listing_tag") == [(6,)]
    seen: list[tuple[int, int]] = []
    done = apply(engine, model_id, on_progress=lambda at, of: seen.append((at, of)))
    assert (done.photos, done.photos_changed, done.listings_changed) == (4, 4, 4)
    assert seen == [(3, 10), (6, 10), (9, 10), (10, 10)]
    assert rows(engine, "SELECT count(*) FROM listing_tag") == [(10,)]
    assert apply(engine, model_id).photos == 0


def test_scores_just_at_a_threshold_count_as_they_do_in_service(
    engine: Engine, settings: Settings
) -> None:
    with engine.begin() as connection:
        model_id = register(connection)
    record(engine, settings, event())
    [claim] = claim_all(engine)
    score = float(np.float32(0.3))
    settle(engine, tagged(claim, model_id, [score, 0.1]))
    put_in_force(engine, model_id, changed(DECISION, thresholds=0.3), reason="test")
    assert apply(engine, model_id).photos_changed == 1
