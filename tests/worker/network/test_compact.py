"""The compact network begins with the weights of a larger one's layers."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from typing import Any

import keras
import numpy as np
import pytest

from shared.errors import SetupError

pytest.importorskip("tensorflow")

from worker.network.compact import compact_body, inherit
from worker.network.vanilla import vanilla_cnn


def test_it_takes_pixels_and_gives_a_vector() -> None:
    network: Any = compact_body()
    assert (network.input_shape, network.output_shape) == ((None, 48, 48, 3), (None, 112))
    found = np.asarray(network(np.full((2, 48, 48, 3), 255, np.float32), training=False))
    assert np.isfinite(found).all()


def test_each_layer_starts_from_the_one_of_its_name_whatever_the_size() -> None:
    ancestor: Any = compact_body(64, 64)
    for layer in ancestor.layers:
        layer.set_weights([value + 0.5 for value in layer.get_weights()])
    network: Any = compact_body()
    inherit(network, ancestor)
    theirs = {layer.name: layer.get_weights() for layer in ancestor.layers if layer.weights}
    ours = {layer.name: layer.get_weights() for layer in network.layers if layer.weights}
    assert ours.keys() == theirs.keys()
    assert "_blocks_10_project_conv" in ours or "_blocks_10__project_conv" in ours
    for name, values in ours.items():
        for one, other in zip(values, theirs[name], strict=True):
            assert np.array_equal(one, other)


def test_another_ancestor_is_refused() -> None:
    with pytest.raises(SetupError, match=r"no layer _conv_stem .* EfficientNet-Lite0"):
        inherit(compact_body(), vanilla_cnn(3))


def test_a_layer_of_another_shape_is_refused() -> None:
    narrow = keras.Sequential(
        [
            keras.Input((48, 48, 3)),
            keras.layers.Conv2D(16, 3, use_bias=False, name="_conv_stem"),
        ]
    )
    with pytest.raises(SetupError, match="no layer _conv_stem of shape"):
        inherit(compact_body(), narrow)
