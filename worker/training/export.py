"""From the trained network to the LiteRT model that serves, with a checked parity."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from shared.domain.scores import hamming_score
from worker.model.tagger import Tagger

MAX_HAMMING_LOSS = 0.005
BATCH_PHOTOS = 512


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way of exporting, and how far it is from Keras on the validation photos."""

    weights: str  #: "float32" or "int8" (dynamic range)
    model: bytes
    hamming: float
    max_score_difference: float


def keras_scores(network: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 `[n, tags]` for uint8 `[n, height, width, 3]` RGB, by Keras itself."""
    parts = [
        np.asarray(network(pixels[start : start + BATCH_PHOTOS].astype(np.float32), training=False))
        for start in range(0, len(pixels), BATCH_PHOTOS)
    ]
    return np.concatenate(parts).astype(np.float32)


def export(
    network: keras.Model, pixels: NDArray[np.uint8], truth: NDArray[np.bool_], threshold: float
) -> tuple[Candidate, tuple[Candidate, ...]]:
    """The model to serve, and all the candidates it was chosen from.

    Dynamic-range int8 is three times as fast and a quarter as large; it is taken if its Hamming
    score on the validation photos is within 0.005 of Keras, else float32.

    Args:
        network: the trained network.
        pixels: uint8 `[n, height, width, 3]` RGB of the validation photos.
        truth: bool `[n, tags]`.
        threshold: the one that was fitted for the Keras scores.

    Returns:
        The chosen candidate and (float32, int8).
    """
    reference = keras_scores(network, pixels)
    hamming = hamming_score(reference >= threshold, truth)
    candidates: list[Candidate] = []
    for weights in ("float32", "int8"):
        model = to_litert(network, quantised=weights == "int8")
        tagger = Tagger.of_model(
            model, height=pixels.shape[1], width=pixels.shape[2], tags=truth.shape[1]
        )
        scores = tagger.scores(pixels)
        candidates.append(
            Candidate(
                weights=weights,
                model=model,
                hamming=hamming_score(scores >= threshold, truth),
                max_score_difference=float(np.abs(scores - reference).max()),
            )
        )
    exact, quantised = candidates
    close = quantised.hamming >= hamming - MAX_HAMMING_LOSS
    return (quantised if close else exact), (exact, quantised)


def to_litert(network: keras.Model, *, quantised: bool) -> bytes:
    """A flatbuffer from uint8 `[n, height, width, 3]` RGB to float32 `[n, tags]`."""
    shape = [None, *network.input_shape[1:]]

    def serve(pixels: Any) -> Any:
        return network(tf.cast(pixels, tf.float32), training=False)

    traced: Any = tf.function(serve, input_signature=[tf.TensorSpec(shape, tf.uint8)])
    # The converter turns into constants what a tf.Module holds; it does not look into Keras 3.
    holder: Any = tf.Module()
    holder.weights = [variable.value for variable in network.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [traced.get_concrete_function()], holder
    )
    if quantised:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())
