"""Losses are those of the papers, by hand."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

# pyright: reportAttributeAccessIssue=false, reportUntypedFunctionDecorator=false
import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf

from worker.training.losses import coherent, cross_entropy

TAGS = ("cameras", "lenses")
PARENTS = {"lenses": "cameras"}


def _array(*rows: list[float]) -> Any:
    return tf.constant(np.array(rows, np.float32))


def test_cross_entropy_is_the_mean_over_photos_and_tags() -> None:
    found = float(cross_entropy(_array([0.9, 0.2], [0.5, 0.5]), _array([1, 0], [0, 1])))
    expected = -(math.log(0.9) + math.log(0.8) + 2 * math.log(0.5)) / 4
    assert found == pytest.approx(expected, rel=1e-5)


def test_certain_and_wrong_is_costly_but_finite() -> None:
    assert 10 < float(cross_entropy(_array([0, 1]), _array([1, 0]))) < 20


def test_a_network_that_is_certain_and_wrong_can_still_learn() -> None:
    logits = _array([200, -200])

    @tf.function
    def gradient(logits: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            found = cross_entropy(tf.sigmoid(logits), _array([0, 1]))
        return tape.gradient(found, logits)

    assert gradient(logits).numpy().tolist() == [[0.5, -0.5]]


def test_soft_targets_cost_least_where_they_are_met() -> None:
    target = _array([0.3])
    costs = [float(cross_entropy(_array([score]), target)) for score in (0.2, 0.3, 0.4)]
    assert min(costs) == costs[1]


def test_a_carried_tag_does_not_learn_from_a_child_that_is_not_there() -> None:
    loss = coherent(TAGS, PARENTS)
    scores, truth = _array([0.3, 0.8]), _array([1, 0])
    expected = -(math.log(0.3) + math.log(1 - 0.8)) / 2
    assert float(loss(scores, truth)) == pytest.approx(expected, rel=1e-5)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        found = loss(scores, truth)
    parent, child = tape.gradient(found, scores).numpy()[0]
    assert parent < 0 < child  # to be raised, to be lowered


def test_a_tag_that_is_not_carried_answers_for_what_is_below_it() -> None:
    found = float(coherent(TAGS, PARENTS)(_array([0.1, 0.6]), _array([0, 0])))
    assert found == pytest.approx(-math.log(0.4), rel=1e-5)


def test_a_carried_child_lifts_its_parent() -> None:
    found = float(coherent(TAGS, PARENTS)(_array([0.1, 0.6]), _array([1, 1])))
    assert found == pytest.approx(-math.log(0.6), rel=1e-5)
