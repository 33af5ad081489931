"""Tiny headless Keras files; import only where TensorFlow is."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from pathlib import Path
from typing import Any

import keras
from keras import layers

from worker.network.compact import compact_body


def write_body(path: Path, side: int = 32, *extra: Any) -> keras.Model:
    """A body that gives eight features a place; `extra` layers come last."""
    network = keras.Sequential(
        [
            keras.Input((side, side, 3)),
            layers.Conv2D(8, 3, strides=8, padding="same", use_bias=False, name="stem"),
            layers.BatchNormalization(name="normal"),
            layers.ReLU(6),
            *extra,
        ]
    )
    network.save(path)
    return network


def write_lite(path: Path, side: int = 64) -> keras.Model:
    """A body with the layers of EfficientNet-Lite0 that the compact network starts from."""
    network = compact_body(side, side)
    network.save(path)
    return network
