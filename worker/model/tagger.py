"""Scores for a batch of photos, by LiteRT."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import threading
from typing import Any, Self

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from shared.errors import ArtifactError
from worker.model.artifact import Artifact

#: Photos an invocation takes; the cost of a photo is lowest between 8 and 32.
INVOCATION_PHOTOS = 16
#: What one invocation may hold in memory: a small file can describe giant tensors.
MAX_TENSOR_BYTES = 512 << 20
#: All that an image classifier is made of. No control flow, no custom or TensorFlow (flex)
#: operators, none that makes a large tensor out of a small one.
ALLOWED_OPERATORS = frozenset(
    {
        *("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"),
        *("AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN"),
        *("LOGISTIC", "RELU", "RELU6", "TANH"),
        *("ADD", "MAXIMUM", "MUL", "SUB"),
        *("CAST", "DEQUANTIZE", "QUANTIZE"),
        *("CONCATENATION", "PACK", "RESHAPE", "SHAPE", "STRIDED_SLICE"),
        "DELEGATE",  # stands for operators that are listed besides it
    }
)


class Tagger:
    """A loaded model.

    One interpreter behind a lock: the threads of a worker share one core, so a second
    interpreter would double the memory and win nothing; while one thread infers the others fetch.
    """

    def __init__(self, artifact: Artifact, threads: int = 1) -> None:
        """Builds the interpreter out of the artifact's checked bytes.

        Args:
            artifact: a loaded artifact.
            threads: threads of one invocation.

        Raises:
            ArtifactError: the model is no LiteRT model, uses operators that are not allowed,
                would need too much memory, or does not fit the manifest.
        """
        size = artifact.manifest.input
        self._build(artifact.model, size.height, size.width, len(artifact.vocabulary), threads)

    @classmethod
    def of_model(
        cls, model: bytes, *, height: int, width: int, tags: int, threads: int = 1
    ) -> Self:
        """A tagger for a model that is in no artifact yet, such as a training's candidate.

        Raises:
            ArtifactError: as for a tagger of an artifact.
        """
        tagger = cls.__new__(cls)
        tagger._build(model, height, width, tags, threads)
        return tagger

    def scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The scores of each photo, whatever its batch mates are. Safe to call from any thread.

        Args:
            pixels: uint8 `[n, height, width, 3]` RGB, as `worker.decode.pixels` makes them.

        Returns:
            float32 `[n, tags]` in 0..1. A photo for which the model gives anything else has NaN
            in its whole row, and only that photo: check with `numpy.isnan(row[0])`.

        Raises:
            ValueError: the pixels have another shape or type.
        """
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self._shape[1:]:
            raise ValueError(f"pixels are {pixels.dtype} {pixels.shape}, not uint8 {self._shape}")
        found = np.empty((len(pixels), self._tags), np.float32)
        for start in range(0, len(pixels), INVOCATION_PHOTOS):
            part = pixels[start : start + INVOCATION_PHOTOS]
            found[start : start + len(part)] = self._invoke(part)
        found[~_usable(found)] = np.nan
        return found

    def _build(self, model: bytes, height: int, width: int, tags: int, threads: int) -> None:
        self._lock = threading.Lock()
        self._tags = tags
        self._shape = (INVOCATION_PHOTOS, height, width, 3)
        self._batch = np.zeros(self._shape, np.uint8)
        try:
            self._interpreter = Interpreter(model_content=model, num_threads=threads)
            _refuse_operators(self._interpreter)
            _refuse_giants(self._interpreter)
            self._input = _only(self._interpreter.get_input_details(), np.uint8, "input")
            self._output = _only(self._interpreter.get_output_details(), np.float32, "output")
            # Always the same batch: resizing between batches costs more than padding does.
            self._interpreter.resize_tensor_input(self._input, list(self._shape), strict=True)
            self._interpreter.allocate_tensors()
            # A real invocation: the shape of the scores is only certain after one.
            scores = self._invoke(self._batch)
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(f"not a usable LiteRT model: {error}") from None
        if scores.shape != (INVOCATION_PHOTOS, tags):
            raise ArtifactError(
                f"the model gives scores of shape {list(scores.shape)} for "
                f"{INVOCATION_PHOTOS} photos and {tags} tags"
            )
        if not _usable(scores).all():
            raise ArtifactError("the model gives no scores within 0 and 1 for a black photo")

    def _invoke(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._lock:
            self._batch[: len(pixels)] = pixels
            self._batch[len(pixels) :] = 0
            self._interpreter.set_tensor(self._input, self._batch)
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._output)[: len(pixels)]


def _usable(scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Of which photos all scores are within 0 and 1; NaN is not."""
    within: NDArray[np.bool_] = (scores >= 0) & (scores <= 1)
    return np.logical_and.reduce(within, axis=1)


def _only(details: list[dict[str, Any]], dtype: type, what: str) -> int:
    if len(details) != 1 or details[0]["dtype"] is not dtype:
        kinds = [f"{detail['dtype'].__name__} {detail['shape']}" for detail in details]
        raise ArtifactError(f"the model's {what} is {kinds}, not one of {dtype.__name__}")
    return int(details[0]["index"])


def _refuse_operators(interpreter: Any) -> None:
    used = {str(operator["op_name"]) for operator in interpreter._get_ops_details()}
    if refused := used - ALLOWED_OPERATORS:
        raise ArtifactError(f"the model uses operators that are not allowed: {sorted(refused)}")


def _refuse_giants(interpreter: Any) -> None:
    # Before anything is allocated: a tensor that grows with the batch counts for a whole one.
    total = 0
    for tensor in interpreter.get_tensor_details():
        grows = any(side < 0 for side in tensor["shape_signature"])
        elements = 1
        for side in tensor["shape"]:
            elements *= abs(int(side))
        total += elements * np.dtype(tensor["dtype"]).itemsize * (INVOCATION_PHOTOS if grows else 1)
    if total > MAX_TENSOR_BYTES:
        raise ArtifactError(f"the model's tensors would take {total} bytes")
