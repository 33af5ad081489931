"""LiteRT models out of a few lines of TensorFlow, for tests to refuse or to be wrong by."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false

from collections.abc import Callable
from typing import Any

import pytest

SIDE = 8  #: of the photos that the models take, in pixels


def litert(scores_of: Callable[[Any], Any], *, flex: bool = False, dtype: Any = None) -> bytes:
    """A model out of a function from float32 photos [n, 8, 8, 3] to scores."""
    tf: Any = pytest.importorskip("tensorflow")
    traced = tf.function(
        lambda pixels: scores_of(tf.cast(pixels, tf.float32)),
        input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], dtype or tf.uint8)],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()])
    if flex:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
    return bytes(converter.convert())
