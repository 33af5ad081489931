"""What a network learns from: rows that come in batches, out of memory or a mapped file."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Array = NDArray[Any]


class Examples(Protocol):
    """Inputs with their targets."""

    def __len__(self) -> int: ...

    @property
    def signature(self) -> Sequence[Any]:
        """A `tf.TensorSpec` for the inputs and each of the targets, of any batch size."""
        ...

    @property
    def shares(self) -> Array | None:
        """float64 `[n]`, how likely each row is to be drawn; None: an epoch draws each once."""
        ...

    def rows(self, rows: NDArray[np.int64], epoch: int) -> tuple[Array, ...]:
        """Inputs and targets of these rows, as an epoch sees them."""
        ...


@dataclass(frozen=True, slots=True)
class PhotoExamples:
    """Photos with what they carry."""

    pixels: Array  #: uint8 `[photos, height, width, 3]`, may be a mapped file
    truth: Array  #: float32 `[n, tags]`
    places: Array  #: `[n]`, the place of each row among the pixels
    shares: Array | None = None

    def __len__(self) -> int:
        return len(self.places)

    @property
    def signature(self) -> Sequence[Any]:
        return _specs(self.pixels, self.truth)

    def rows(self, rows: NDArray[np.int64], epoch: int) -> tuple[Array, ...]:
        del epoch  # the augmentation, not the row, differs from epoch to epoch
        return self.pixels[self.places[rows]], self.truth[rows]


@dataclass(frozen=True, slots=True)
class FeatureExamples:
    """What a body saw in photos; each epoch draws one view of each photo."""

    features: Array  #: `[views, photos, features]`, may be a mapped file
    truth: Array  #: float32 `[n, tags]`
    places: Array  #: `[n]`, the place of each row among the photos
    seed: int
    shares: Array | None = None

    def __len__(self) -> int:
        return len(self.places)

    @property
    def signature(self) -> Sequence[Any]:
        return _specs(self.features[0], self.truth)

    def rows(self, rows: NDArray[np.int64], epoch: int) -> tuple[Array, ...]:
        # A draw of its own for every photo and epoch, whatever the order of the rows.
        size = len(self)
        drawn = np.random.default_rng([self.seed, epoch]).integers(len(self.features), size=size)
        return self.features[drawn[rows], self.places[rows]], self.truth[rows]


def drawn(examples: Examples, random: np.random.Generator) -> NDArray[np.int64]:
    """The rows of an epoch: as many as there are, each once or by its share."""
    size = len(examples)
    if examples.shares is None:
        return random.permutation(size)
    return random.choice(size, size, p=examples.shares)


def batches(
    examples: Examples, order: NDArray[np.int64], epoch: int, size: int
) -> Iterator[tuple[Any, ...]]:
    """The rows in this order, read ahead by `tf.data` while the network learns."""
    specs = examples.signature
    kinds = [spec.dtype for spec in specs]

    def read(rows: NDArray[np.int64]) -> tuple[Array, ...]:
        return examples.rows(rows, epoch)

    def gather(rows: Any) -> Any:
        found = tf.numpy_function(read, [rows], kinds)
        for tensor, spec in zip(found, specs, strict=True):
            tensor.set_shape(spec.shape)
        return tuple(found)

    dataset = tf.data.Dataset.from_tensor_slices(order.astype(np.int64)).batch(size)
    return iter(dataset.map(gather, num_parallel_calls=2, deterministic=True).prefetch(2))


def _specs(*arrays: Array) -> list[Any]:
    return [tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in arrays]
