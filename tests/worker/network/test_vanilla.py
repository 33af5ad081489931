"""The network is the paper's."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from worker.network.vanilla import vanilla_cnn


def _outputs(network: Any, kind: str) -> list[tuple[int, ...]]:
    return [layer.output.shape[1:] for layer in network.layers if type(layer).__name__ == kind]


def test_its_layers_are_those_of_the_notebooks() -> None:
    network = vanilla_cnn(14)
    # The third and fourth convolution lose a border of one: "valid", as in the notebooks.
    assert _outputs(network, "Conv2D") == [(35, 35, 32), (35, 35, 32), (15, 15, 64), (13, 13, 64)]
    assert _outputs(network, "MaxPooling2D") == [(17, 17, 32), (6, 6, 64)]
    assert _outputs(network, "Dense") == [(128,), (14,)]
    rates = [layer.rate for layer in network.layers if type(layer).__name__ == "Dropout"]
    assert rates == [0.25, 0.25, 0.5]
    assert network.count_params() == 362_414


def test_it_takes_pixels_as_they_are_and_gives_scores() -> None:
    network: Any = vanilla_cnn(3, height=40, width=30)
    pixels = np.full((2, 40, 30, 3), 255, np.float32)
    scores = np.asarray(network(pixels))
    assert scores.shape == (2, 3)
    assert ((scores >= 0) & (scores <= 1)).all()
    # The first convolution sees 0..255: the notebooks did not scale.
    first = network.layers[0]
    assert type(first).__name__ == "Conv2D"
    middle = np.asarray(first(pixels))[0, 20, 15]
    assert middle == pytest.approx(
        np.maximum(first.kernel.numpy().sum((0, 1, 2)) * 255, 0), abs=0.1
    )
