"""The paper's vanilla CNN, in code."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import keras
from keras import layers


def vanilla_cnn(tags: int, height: int = 35, width: int = 35) -> keras.Model:
    """An untrained network from pixels to one score a tag.

    Layers are those of the authors' notebooks (code19_170k), which fed pixels as they are.

    Args:
        tags: how many tags it scores.
        height: rows of its input, in pixels.
        width: columns of its input, in pixels.

    Returns:
        float32 `[n, height, width, 3]` in 0..255 -> float32 `[n, tags]` in 0..1.
    """
    return keras.Sequential(
        [
            keras.Input((height, width, 3)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Conv2D(64, 3, padding="valid", activation="relu"),
            layers.Conv2D(64, 3, padding="valid", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(tags, activation="sigmoid", dtype="float32"),
        ],
        name="vanilla_cnn",
    )
