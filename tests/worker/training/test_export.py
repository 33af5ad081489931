"""The exported model answers as the network does, or its int8 form is not taken."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import numpy as np
import pytest

from worker.model.tagger import Tagger

pytest.importorskip("tensorflow")

from worker.model.network import vanilla_cnn
from worker.training import export as export_module
from worker.training.export import export, keras_scores, to_litert

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 35, 35, 3), np.uint8)


def test_the_exported_model_gives_the_scores_of_the_network() -> None:
    network = vanilla_cnn(3)
    expected = keras_scores(network, PIXELS)
    for quantised, tolerance in ((False, 1e-5), (True, 0.02)):
        model = to_litert(network, quantised=quantised)
        found = Tagger.of_model(model, height=35, width=35, tags=3).scores(PIXELS)
        assert np.abs(found - expected).max() < tolerance


def test_int8_is_taken_where_it_costs_nothing_and_is_smaller() -> None:
    network = vanilla_cnn(3)
    chosen, (exact, quantised) = export(network, PIXELS, np.ones((40, 3), bool), 0.05)
    assert chosen is quantised
    assert len(quantised.model) < len(exact.model) / 3
    assert exact.max_score_difference < 1e-5 <= quantised.max_score_difference


def test_int8_is_not_taken_where_it_costs_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "MAX_HAMMING_LOSS", -0.01)
    network = vanilla_cnn(3)
    chosen, (exact, _) = export(network, PIXELS, np.ones((40, 3), bool), 0.05)
    assert chosen is exact
