"""The exported model answers as the network does, or it is not taken."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from typing import Any

import numpy as np
import pytest

from worker.model.tagger import Tagger

pytest.importorskip("tensorflow")

import keras

from worker.network.vanilla import vanilla_cnn
from worker.training import export as export_module
from worker.training.export import WEIGHTS, Exported, Weights, export, keras_scores, to_litert

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 35, 35, 3), np.uint8)
TRUTH = np.ones((40, 3), bool)


@pytest.fixture(scope="module")
def network() -> Any:
    """An untrained network whose scores are neither 0 nor 1."""
    keras.utils.set_random_seed(0)
    network: Any = vanilla_cnn(3)
    kernel, bias = network.layers[0].get_weights()
    network.layers[0].set_weights([kernel / 255, bias])
    return network


def _export(network: Any, threshold: float = 0.05) -> Exported:
    fitted = np.full(3, threshold, np.float32)
    return export(network, PIXELS, TRUTH, lambda _: fitted, typical=PIXELS)


def test_each_form_is_judged_with_thresholds_of_its_own(network: Any) -> None:
    seen: list[Any] = []

    def fit(scores: Any) -> Any:
        seen.append(scores)
        return scores.min(axis=0)

    exported = export(network, PIXELS, TRUTH, fit, typical=PIXELS)
    assert len({scores.tobytes() for scores in seen}) == 1 + len(WEIGHTS)
    # At the lowest score of each form all photos get all tags, whatever the form did to them.
    assert {candidate.flipped for candidate in exported.candidates} == {0.0}


@pytest.mark.parametrize(
    ("weights", "tolerance"), [("float32", 1e-5), ("dynamic_int8", 0.02), ("int8", 0.05)]
)
def test_the_exported_model_gives_the_scores_of_the_network(
    network: Any, weights: Weights, tolerance: float
) -> None:
    model = to_litert(network, weights, PIXELS)
    found = Tagger.of_model(model, height=35, width=35, tags=3).scores(PIXELS)
    assert np.abs(found - keras_scores(network, PIXELS)).max() < tolerance


def test_all_forms_stand_before_the_gate_and_the_fastest_that_costs_nothing_is_taken(
    network: Any,
) -> None:
    exported = _export(network)
    assert [candidate.weights for candidate in exported.candidates] == list(WEIGHTS)
    exact, *quantised = exported.candidates
    assert exact.max_score_difference < 1e-5
    for candidate in quantised:
        assert len(candidate.model) < len(exact.model)
        assert candidate.max_score_difference >= 1e-5
    # Every score is above the threshold, so none of them loses anything.
    assert exported.keras_hamming == 1
    assert exported.chosen == min(exported.candidates, key=lambda one: one.us_per_photo)


def test_what_costs_tags_is_not_taken_however_fast(
    network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "MAX_LOSS", -0.01)
    speeds = [float(len(WEIGHTS) - place) for place in range(len(WEIGHTS))]
    monkeypatch.setattr(
        export_module,
        "_microseconds_per_photo",
        lambda *_: speeds,  # pyright: ignore[reportUnknownLambdaType]
    )
    assert _export(network).chosen.weights == "float32"
