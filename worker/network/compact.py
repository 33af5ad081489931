"""The compact network: EfficientNet-Lite0's blocks, as few of them as a small photo needs."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from keras import layers

from shared.errors import SetupError

SIDE: Final = 48


@dataclass(frozen=True, slots=True)
class Block:
    """An inverted residual block (Sandler et al. 2018, as EfficientNet-Lite has it)."""

    number: int  #: its place in EfficientNet-Lite0, from 0: whose weights it starts from
    kernel: int  #: side of the depthwise convolution
    stride: int
    expansion: int  #: how many times its inputs' channels it works on
    channels: int  #: of its output


#: Second and further blocks of the large maps are left out: a third of the time, little else.
BLOCKS: Final = (
    Block(0, 3, 1, 1, 16),
    Block(1, 3, 2, 6, 24),
    Block(3, 5, 2, 6, 40),
    Block(5, 3, 2, 6, 80),
    Block(6, 3, 1, 6, 80),
    Block(7, 3, 1, 6, 80),
    Block(8, 5, 1, 6, 112),
    Block(9, 5, 1, 6, 112),
    Block(10, 5, 1, 6, 112),
)


def compact_body(height: int = SIDE, width: int = SIDE) -> keras.Model:
    """The untrained body; layers carry the names of EfficientNet-Lite0's, for `inherit`.

    No squeeze-and-excitation and ReLU6 throughout, so that int8 loses little (EfficientNet-Lite).

    Returns:
        float32 `[n, height, width, 3]` RGB in 0..255 -> float32 `[n, 112]`.
    """
    pixels = keras.Input((height, width, 3))
    x: Any = layers.Rescaling(1 / 128, -127 / 128)(pixels)
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="_conv_stem")(x)
    x = _normal(x, "_bn0", activated=True)
    for block in BLOCKS:
        x = _block(x, block)
    return keras.Model(pixels, layers.GlobalAveragePooling2D()(x), name="compact")


def inherit(network: keras.Model, ancestor: keras.Model) -> None:
    """Starts each layer of `network` that has weights from the one of its name in `ancestor`.

    Raises:
        SetupError: the ancestor has no such layer, or one of another shape.
    """
    known = {layer.name: layer for layer in ancestor.layers}
    for layer in network.layers:
        if not layer.weights:
            continue
        theirs = known.get(layer.name)
        shapes = [np.shape(value) for value in layer.get_weights()]
        if theirs is None or [np.shape(value) for value in theirs.get_weights()] != shapes:
            raise SetupError(
                f"the body has no layer {layer.name} of shape {shapes}; "
                "the compact recipe starts from EfficientNet-Lite0"
            )
        layer.set_weights(theirs.get_weights())


def _block(x: Any, block: Block) -> Any:
    name = f"_blocks_{block.number}_"
    entry, channels = x, int(x.shape[-1])
    if block.expansion > 1:
        x = layers.Conv2D(
            channels * block.expansion, 1, use_bias=False, name=f"{name}_expand_conv"
        )(x)
        x = _normal(x, f"{name}_bn0", activated=True)
    x = layers.DepthwiseConv2D(
        block.kernel,
        strides=block.stride,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise_conv",
    )(x)
    x = _normal(x, f"{name}_bn1", activated=True)
    x = layers.Conv2D(block.channels, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = _normal(x, f"{name}_bn2", activated=False)
    skips = block.stride == 1 and channels == block.channels
    return layers.Add()([x, entry]) if skips else x


def _normal(x: Any, name: str, *, activated: bool) -> Any:
    x = layers.BatchNormalization(name=name)(x)
    return layers.ReLU(6)(x) if activated else x
