"""What `judge` finds: slices, baselines, intervals, and photos that the model failed on."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.worker.judging.drafts import SCORES, TAGS, TRUTH, drawn
from worker.judging.report import judge


def _judge(
    scores: NDArray[np.float32] = SCORES, truth: NDArray[np.bool_] = TRUTH, **changes: Any
) -> dict[str, Any]:
    photos, tags = truth.shape
    entries: dict[str, Any] = {
        "products": [str(number) for number in range(photos)],
        "sources": ["catalogue", "user"] * (photos // 2) + ["user"] * (photos % 2),
        "sets": ["one"] * (photos // 2) + ["two"] * (photos - photos // 2),
    }
    names = TAGS if tags == len(TAGS) else [str(tag) for tag in range(tags)]
    thresholds = changes.pop("thresholds", np.full(tags, 0.5, np.float32))
    return judge(scores, truth, thresholds, names, **(entries | changes))


def test_every_source_and_set_is_measured_under_both_names() -> None:
    found = _judge()
    assert found["overall"]["hamming"] == 0.625
    assert found["by_source"]["user"]["hamming"] == 0.75
    assert found["by_set"]["two"]["photos"] == 2
    assert found["source"] == found["by_source"]
    assert found["set"] == found["by_set"]
    assert found["by_source"].keys() == {"catalogue", "user"}
    assert found["by_set"]["one"].keys() == found["overall"].keys()


def test_each_tags_own_threshold_decides() -> None:
    thresholds = np.array([0.75, 0.3, 0.5], np.float32)
    found = _judge(thresholds=thresholds)
    assert found["overall"]["exact_match"] == 1
    assert found["by_tag"]["hubs"]["threshold"] == pytest.approx(0.3)


def test_a_photo_without_scores_is_counted_and_judged_as_given_no_tag() -> None:
    scores = SCORES.copy()
    scores[0] = np.nan
    found = _judge(scores, bootstrap=20)
    assert found["unscored"] == 1
    assert found["overall"]["photos"] == 4
    assert found["overall"]["hamming"] == (0 + 1 / 2 + 0 + 1) / 4
    assert found["by_tag"]["cables"]["answers"] == 2
    json.dumps(found, allow_nan=False)


def test_no_scores_at_all_are_judged_as_the_model_that_never_answers() -> None:
    found = _judge(np.full_like(SCORES, np.nan))
    assert found["unscored"] == 4
    assert found["overall"] == found["baselines"]["always_empty"]


def test_the_baselines_answer_without_a_look_at_the_photo() -> None:
    truth = np.array([[0, 0, 0]] * 3 + [[1, 1, 0]] * 2 + [[0, 1, 0]], bool)
    baselines = _judge(np.zeros((6, 3), np.float32), truth)["baselines"]
    assert baselines["always_empty"]["hamming"] == 0.5
    assert baselines["always_empty"]["hamming_nonempty"] == 0
    assert baselines["most_frequent"]["tags"] == []
    assert baselines["most_frequent_nonempty"]["tags"] == ["cables", "hubs"]
    assert baselines["most_frequent_nonempty"]["hamming"] == pytest.approx(
        (1 + 1 + 0.5) / 6, abs=1e-6
    )


def test_the_order_of_photos_changes_no_baseline() -> None:
    there, back = _judge(), _judge(SCORES[::-1], TRUTH[::-1])
    assert there["baselines"] == back["baselines"]


def test_intervals_are_there_when_asked_for_and_are_of_products() -> None:
    assert _judge()["intervals"] == {}
    scores, truth, _ = drawn(0, 60, 3)
    found = _judge(scores, truth, bootstrap=50, products=["same"] * 60)["intervals"]
    assert (found["resamples"], found["over"], found["level"]) == (50, "products", 0.95)
    # Whatever is drawn of a single product, it is the same.
    assert found["hamming"][0] == found["hamming"][1]


def test_a_vocabulary_of_one_tag_can_be_judged() -> None:
    found = _judge(SCORES[:, :1], TRUTH[:, :1], bootstrap=5)
    assert found["overall"]["macro_f1"] == 0.8


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": SCORES[:, :2]},
        {"scores": SCORES[:0], "truth": TRUTH[:0]},
        {"products": ["a"]},
        {"sets": ["a"] * 5},
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"photos|scores"):
        _judge(**changes)
