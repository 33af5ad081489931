"""What a frozen body sees in photos and in augmented views of them: made once, kept on disk.

A large body takes most of the time of a training and learns nothing in it. So it looks at each
view once; heads then learn from what it saw, for as many epochs as they like.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportUnknownLambdaType=false

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from shared.errors import DatasetError
from worker.training.augment import augment, crop

BATCH_PHOTOS: Final = 16


def make_features(
    pixels: NDArray[np.uint8],
    body: keras.Model,
    folder: Path,
    *,
    views: int,
    seed: int,
    fingerprint: str,
    on_progress: Callable[[int, int], None],
) -> NDArray[np.float16]:
    """Looks at each photo once as it is, and at augmented views of it.

    A call that was killed goes on with the view it was at. Memory is bounded: everything but a
    batch lies in mapped files.

    Args:
        pixels: uint8 `[n, height, width, 3]` RGB, as the body takes them but unscaled.
        body: the frozen network, with its scaling inside.
        folder: where the files go.
        views: how many augmented ones; 0 for none.
        seed: of the augmentation.
        fingerprint: names the photos and the body; files of another are made anew.
        on_progress: called with looks done and wanted.

    Returns:
        `[1 + views, n, features]`, a mapped file; first of the photos as they are.

    Raises:
        DatasetError: the disk is full or fails.
    """
    shape = (views + 1, len(pixels), body.output_shape[1])
    about = [fingerprint, shape, seed]
    name = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    try:
        files = _Files(folder / f"features-{name}", shape)
        look = _looker(body)
        for view in range(files.done(), views + 1):
            on_progress(view, views + 1)
            _make(view, pixels, look, files, seed)
            files.finish(view)
        on_progress(views + 1, views + 1)
    except OSError as error:
        raise DatasetError(f"{folder}: {error.strerror or error}") from None
    return files.features


class _Files:
    """The mapped file, and how far it is filled."""

    def __init__(self, folder: Path, shape: tuple[int, int, int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._done = folder / "done.json"
        self.features: Any = _mapped(folder / "features.npy", shape)

    def done(self) -> int:
        """Views that are on disk."""
        try:
            return int(json.loads(self._done.read_text()))
        except (OSError, ValueError):
            return 0

    def finish(self, view: int) -> None:
        self.features.flush()
        unfinished = self._done.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(view + 1))
        unfinished.replace(self._done)


def _mapped(path: Path, shape: tuple[int, ...]) -> Any:
    if path.exists():
        try:
            there: Any = np.lib.format.open_memmap(path, mode="r+")
        except ValueError:  # a kill cut its header short
            there = None
        if there is not None and there.dtype == np.float16 and there.shape == shape:
            return there
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)


def _make(
    view: int, pixels: NDArray[np.uint8], look: Callable[[Any], Any], files: _Files, seed: int
) -> None:
    def draw(start: Any, photos: Any) -> Any:
        drawn = tf.stack([seed * 1009 + view, start])
        if view:
            # Every second view shows a part of the photo only.
            photos = augment(crop(photos, drawn) if view % 2 else photos, drawn)
        return tf.cast(photos, tf.float32)

    def read() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for start in range(0, len(pixels), BATCH_PHOTOS):
            yield start, pixels[start : start + BATCH_PHOTOS]

    shape = [None, *pixels.shape[1:]]
    signature = (tf.TensorSpec([], tf.int32), tf.TensorSpec(shape, tf.uint8))
    # Drawn ahead on one core while the body looks on the others.
    drawn = tf.data.Dataset.from_generator(read, output_signature=signature).map(draw).prefetch(4)
    for start, photos in zip(range(0, len(pixels), BATCH_PHOTOS), drawn, strict=True):
        files.features[view, start : start + BATCH_PHOTOS] = look(photos)


def _looker(body: keras.Model) -> Callable[[Any], Any]:
    if tf.config.list_physical_devices("GPU"):
        return lambda photos: body(photos, training=False).numpy()
    # On a processor LiteRT is more than twice as fast as TensorFlow, and gives the same.
    shape = [BATCH_PHOTOS, *body.input_shape[1:]]
    traced: Any = tf.function(
        lambda photos: body(photos, training=False),
        input_signature=[tf.TensorSpec(shape, tf.float32)],
    )
    holder: Any = tf.Module()
    holder.weights = [variable.value for variable in body.variables]
    converted = tf.lite.TFLiteConverter.from_concrete_functions(
        [traced.get_concrete_function()], holder
    ).convert()
    interpreter = tf.lite.Interpreter(
        model_content=converted, num_threads=len(os.sched_getaffinity(0))
    )
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    exit_ = interpreter.get_output_details()[0]["index"]

    def look(photos: Any) -> Any:
        batch = np.zeros(shape, np.float32)
        batch[: len(photos)] = photos.numpy()
        interpreter.set_tensor(entry, batch)
        interpreter.invoke()
        return interpreter.get_tensor(exit_)[: len(photos)]

    return look
