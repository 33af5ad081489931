"""What a network is to make small: how far its outputs are from what they should be."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from worker.network.heads import lineage

#: Scalar loss out of a network's scores and what they should be, both `[n, tags]`.
Loss = Callable[[Any, Any], Any]


def cross_entropy(scores: Any, truth: Any) -> Any:
    """Binary cross-entropy, the mean over photos and tags; both are `[n, tags]` in 0..1."""
    # Keras looks up the logits behind a sigmoid: where scores are 0 or 1 to the last bit, as those
    # of an untrained network that takes pixels unscaled, they alone still have a gradient.
    each: Any = keras.ops.binary_crossentropy(truth, scores)
    return tf.reduce_mean(each)


def coherent(tags: Sequence[str], parents: Mapping[str, str]) -> Loss:
    """The loss of C-HMCNN (Giunchiglia and Lukasiewicz 2020, equation 6).

    A tag that is carried learns from those below it only where they are carried too: otherwise a
    parent would be taught by pushing up a child that is not there.

    Args:
        tags: the vocabulary.
        parents: tag -> the tag above it.

    Returns:
        A loss over unconstrained scores `[n, tags]`; its truth is to be coherent itself.
    """
    below = tf.constant([[float(tag in lineage(other, parents)) for other in tags] for tag in tags])

    def constrained(scores: Any) -> Any:
        return tf.reduce_max(below[None] * scores[:, None, :], axis=-1)

    def loss(scores: Any, truth: Any) -> Any:
        learned = truth * constrained(truth * scores) + (1 - truth) * constrained(scores)
        return cross_entropy(learned, truth)

    return loss
