"""What turns a photo's features into scores: tags one by one, or along their hierarchy."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from keras import layers, ops, regularizers
from numpy.typing import NDArray

DROPOUT: Final = 0.2
#: Of the squared weights on standardised features, per tag: what did best on sets left out.
PENALTY: Final = 1.5e-3
#: The path decoder's state and the width of a tag's embedding.
STATE: Final = 128
EMBEDDING: Final = 32


def flat(features: Any, tags: Sequence[str]) -> Any:
    """One logistic score a tag, each by itself; `[n, features]` -> `[n, tags]` in 0..1."""
    x = layers.Dropout(DROPOUT)(features)
    return layers.Dense(len(tags), activation="sigmoid", dtype="float32", name="tags")(x)


def logistic(features: Any, tags: Sequence[str]) -> Any:
    """Logistic regressions with an L2 penalty; `[n, features]` -> `[n, tags]` in 0..1."""
    penalty = regularizers.L2(PENALTY)
    return layers.Dense(len(tags), activation="sigmoid", kernel_regularizer=penalty, name="tags")(
        features
    )


def paper(features: Any, tags: Sequence[str]) -> Any:
    """The head of the paper's VGG16 and DenseNet; `[n, features]` -> `[n, tags]` in 0..1."""
    x = layers.Dense(128, activation="relu")(features)
    x = layers.Dropout(0.25)(x)
    return layers.Dense(len(tags), activation="sigmoid")(x)


def standardised(features: Any, mean: NDArray[np.float32], deviation: NDArray[np.float32]) -> Any:
    """Features with mean 0 and deviation 1 over the training photos, which are given."""
    # A frozen batch normalisation, which LiteRT folds into the layer after it.
    layer = layers.BatchNormalization(
        epsilon=0.0, center=False, scale=False, trainable=False, name="standardised"
    )
    found = layer(features)
    layer.set_weights([mean, np.square(deviation)])
    return found


def constrained(scores: Any, tags: Sequence[str], parents: Mapping[str, str]) -> Any:
    """Scores in which a parent is never less likely than its child, by construction.

    The max constraint module of C-HMCNN (Giunchiglia and Lukasiewicz 2020): a tag's score is the
    greatest of its own and those of everything below it. `worker.training.losses.coherent` is
    the loss that goes with it.

    Args:
        scores: `[n, tags]` in 0..1.
        tags: the vocabulary.
        parents: tag -> the tag above it.

    Returns:
        `[n, tags]` in 0..1.
    """
    columns = [scores[:, column : column + 1] for column in range(len(tags))]
    found: list[Any] = []
    for tag in tags:
        below = [
            column
            for column, other in zip(columns, tags, strict=True)
            if tag in lineage(other, parents)
        ]
        found.append(functools.reduce(ops.maximum, below))
    return ops.concatenate(found, axis=1)


def coherent_truth(
    truth: NDArray[np.float32], tags: Sequence[str], parents: Mapping[str, str]
) -> NDArray[np.float32]:
    """The truth `[n, tags]` in which whoever carries a tag carries all tags above it."""
    found = truth.copy()
    for column, tag in enumerate(tags):
        for above in lineage(tag, parents)[1:]:
            row = tags.index(above)
            found[:, row] = np.maximum(found[:, row], truth[:, column])
    return found


def path_decoder(features: Any, tags: Sequence[str], parents: Mapping[str, str]) -> Any:
    """A recurrent decoder that walks the hierarchy from its roots (CNN + RNN).

    The paper's future work (its section on Electronics > Accessories > Camera Accessories): the
    photo's features set the state of a gated recurrent unit; each step reads the tag it stands on
    and scores every tag below it. A tag's score is the product of the steps that lead to it, so
    no child outscores its parent, and a wrong first step spoils the rest: the danger the paper
    names. The walk is unrolled over the tree, every branch at once, so that all scores come out
    and not only those of one best path.

    Args:
        features: `[n, features]`.
        tags: the vocabulary.
        parents: tag -> the tag above it.

    Returns:
        `[n, tags]` in 0..1.
    """
    x = layers.Dropout(DROPOUT)(features)
    start = layers.Dense(STATE, activation="tanh", name="start")(x)
    cell = _Step(len(tags))
    scores: dict[str, Any] = {}
    states: dict[str | None, tuple[Any, Any]] = {None: cell.enter(None, start, tags)}
    for tag in sorted(tags, key=lambda tag: (len(lineage(tag, parents)), tag)):
        above = parents.get(tag)
        if above not in states:
            states[above] = cell.enter(above, states[parents.get(above or "")][0], tags)
        column = tags.index(tag)
        conditional = states[above][1][:, column : column + 1]
        scores[tag] = conditional if above is None else conditional * scores[above]
    return ops.concatenate([scores[tag] for tag in tags], axis=1)


def lineage(tag: str, parents: Mapping[str, str]) -> list[str]:
    """The tag and everything above it, itself first."""
    line = [tag]
    while (above := parents.get(line[-1])) is not None:
        line.append(above)
    return line


class _Step:
    """One step of the walk, with the same weights at every tag."""

    def __init__(self, tags: int) -> None:
        self._update = layers.Dense(STATE, activation="sigmoid", name="update")
        self._reset = layers.Dense(STATE, activation="sigmoid", name="reset")
        self._candidate = layers.Dense(STATE, activation="tanh", name="candidate")
        self._below = layers.Dense(tags, activation="sigmoid", name="below")
        self._embedding = layers.Dense(EMBEDDING, use_bias=False, name="embedding")

    def enter(self, tag: str | None, state: Any, tags: Sequence[str]) -> tuple[Any, Any]:
        """The state after standing on `tag` (None: above the roots), and the scores below it."""
        # A constant row of the identity through a dense layer is an embedding that LiteRT keeps.
        one_hot = [float(other == tag) for other in tags]
        nowhere: Any = state[:, :1] * 0.0
        at = self._embedding(nowhere + np.array([one_hot], np.float32))
        both = ops.concatenate([state, at], axis=1)
        update, reset = self._update(both), self._reset(both)
        candidate = self._candidate(ops.concatenate([state * reset, at], axis=1))
        after = state * (1.0 - update) + candidate * update
        return after, self._below(after)
