"""From the trained network to the LiteRT model that serves, through a gate of parity."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from shared.domain.scores import hamming_score
from worker.judging.measures import MIN_POSITIVES, average_precisions
from worker.model.tagger import INVOCATION_PHOTOS, Tagger

Weights = Literal["float32", "dynamic_int8", "int8", "int8_mixed"]
WEIGHTS: Final[tuple[Weights, ...]] = ("float32", "dynamic_int8", "int8", "int8_mixed")
#: What Hamming score and mean average precision may lose against Keras on validation photos.
MAX_LOSS: Final = 0.005
BATCH_PHOTOS: Final = 32
#: Photos that show the converter how far each layer's values go.
CALIBRATION_PHOTOS: Final = 300
#: What `int8_mixed` leaves in float32: the head, whose scores int8 would round to 1/256, and the
#: first depthwise convolutions, each of whose channels has a range of its own.
FLOAT_OPERATORS: Final = ("FULLY_CONNECTED", "LOGISTIC")
FLOAT_DEPTHWISE: Final = 3
_TIMED_ROUNDS: Final = 7
_TIMED_PHOTOS: Final = 8 * INVOCATION_PHOTOS


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way of exporting, and how far it is from Keras on the validation photos."""

    weights: Weights
    model: bytes
    hamming: float
    mean_average_precision: float
    max_score_difference: float
    flipped: float  #: share of photos of which a tag is decided otherwise
    us_per_photo: float  #: microseconds on one thread of this machine, median


@dataclass(frozen=True, slots=True)
class Exported:
    """What the gate let through, and all that stood before it."""

    chosen: Candidate
    keras_hamming: float
    keras_mean_average_precision: float
    candidates: tuple[Candidate, ...]


def keras_scores(network: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 `[n, tags]` for uint8 `[n, height, width, 3]`, by Keras itself."""
    # In a graph, which frees each layer's output; called by itself the network keeps them all.
    silent: Any = 0  # which Keras annotates as a text
    found = network.predict(pixels, batch_size=BATCH_PHOTOS, verbose=silent)
    return np.asarray(found, np.float32)


def export(
    network: keras.Model,
    pixels: NDArray[np.uint8],
    truth: NDArray[np.bool_],
    fit: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    *,
    typical: NDArray[np.uint8],
) -> Exported:
    """The fastest form of the network that is as good as the network.

    Four are made: float32; dynamic-range int8, whose weights are int8 and whose activations are
    quantised as they come; int8 throughout, with ranges taken from typical photos; and the same
    with its most sensitive layers in float32. As good means that Hamming score and mean average
    precision on the validation photos lose at most 0.005 each; float32 always is. Each form is
    judged with thresholds of its own, because a shift of all scores would cost it nothing.

    Args:
        network: float32 `[n, height, width, 3]` in 0..255 -> float32 `[n, tags]`.
        pixels: uint8 `[n, height, width, 3]` of the validation photos.
        truth: bool `[n, tags]`.
        fit: fits thresholds, float32 `[tags]`, to scores of the validation photos.
        typical: uint8 `[m, height, width, 3]` of training photos.
    """
    reference = keras_scores(network, pixels)
    decided = reference >= fit(reference)
    hamming = hamming_score(decided, truth)
    precision = _mean_average_precision(reference, truth)
    models = [to_litert(network, weights, typical) for weights in WEIGHTS]
    taggers = [
        Tagger.of_model(model, height=pixels.shape[1], width=pixels.shape[2], tags=truth.shape[1])
        for model in models
    ]
    speeds = _microseconds_per_photo(taggers, pixels)
    candidates: list[Candidate] = []
    for weights, model, tagger, speed in zip(WEIGHTS, models, taggers, speeds, strict=True):
        scores = tagger.scores(pixels)
        predicted = scores >= fit(scores)
        candidates.append(
            Candidate(
                weights=weights,
                model=model,
                hamming=hamming_score(predicted, truth),
                mean_average_precision=_mean_average_precision(scores, truth),
                max_score_difference=float(np.abs(scores - reference).max()),
                flipped=float((predicted != decided).any(axis=1).mean()),
                us_per_photo=speed,
            )
        )
    as_good = [
        candidate
        for candidate in candidates
        if candidate.weights == "float32"
        or (
            candidate.hamming >= hamming - MAX_LOSS
            and candidate.mean_average_precision >= precision - MAX_LOSS
        )
    ]
    chosen = min(as_good, key=lambda candidate: candidate.us_per_photo)
    return Exported(chosen, hamming, precision, tuple(candidates))


def to_litert(network: keras.Model, weights: Weights, typical: NDArray[np.uint8]) -> bytes:
    """A flatbuffer from uint8 `[n, height, width, 3]` to float32 `[n, tags]`.

    Args:
        network: what to convert.
        weights: how its weights are kept.
        typical: uint8 `[m, height, width, 3]`, for the ranges of `int8` and `int8_mixed`.
    """
    converter = _converter(network, weights, typical)
    if weights != "int8_mixed":
        return bytes(converter.convert())
    whole = bytes(_converter(network, "int8", typical).convert())
    with warnings.catch_warnings():
        # TensorFlow's own debugger opens the interpreter that TensorFlow warns against.
        warnings.simplefilter("ignore", UserWarning)
        options = tf.lite.experimental.QuantizationDebugOptions(
            denylisted_ops=list(FLOAT_OPERATORS), denylisted_nodes=_first_depthwise(whole)
        )
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=converter.representative_dataset,
            debug_options=options,
        )
    return bytes(debugger.get_nondebug_quantized_model())


def _converter(network: keras.Model, weights: Weights, typical: NDArray[np.uint8]) -> Any:
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
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights in {"int8", "int8_mixed"}:
        # Evenly out of all, because a data set's rows come set by set.
        rows = np.linspace(0, len(typical) - 1, min(CALIBRATION_PHOTOS, len(typical))).astype(int)
        converter.representative_dataset = lambda: ([typical[row][None]] for row in rows)
    return converter


def _first_depthwise(model: bytes) -> list[str]:
    """The names by which the quantiser knows the first depthwise convolutions."""
    interpreter = tf.lite.Interpreter(model_content=model)
    names = {tensor["index"]: tensor["name"] for tensor in interpreter.get_tensor_details()}
    found = [
        names[operator["outputs"][0]]
        for operator in interpreter._get_ops_details()
        if operator["op_name"] == "DEPTHWISE_CONV_2D"
    ]
    return found[:FLOAT_DEPTHWISE]


def _microseconds_per_photo(taggers: Sequence[Tagger], pixels: NDArray[np.uint8]) -> list[float]:
    """The median of rounds in which all take turns: a busy moment then hurts all alike."""
    photos = np.resize(pixels, (_TIMED_PHOTOS, *pixels.shape[1:]))
    seconds = np.empty((_TIMED_ROUNDS, len(taggers)))
    for round_ in range(_TIMED_ROUNDS):
        for column, tagger in enumerate(taggers):
            started = time.perf_counter()
            tagger.scores(photos)
            seconds[round_, column] = time.perf_counter() - started
    return [float(value) for value in np.median(seconds, axis=0) / _TIMED_PHOTOS * 1e6]


def _mean_average_precision(scores: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    ranked = truth.sum(axis=0) >= MIN_POSITIVES
    if not ranked.any():
        return 0.0
    return float(np.mean(average_precisions(scores[:, ranked], truth[:, ranked])))
