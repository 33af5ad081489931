"""Random changes that a listing photo may undergo without changing its tags."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

import math
from typing import cast

import tensorflow as tf

ZOOM = math.log(1.35)
STRETCH = math.log(1.15)
SHIFT_SHARE = 0.14
TURN_RADIANS = math.radians(14)
REPAINTED_SHARE = 0.4
#: A cropped photo keeps at least this share of its area, and at most this change of its shape.
CROP_AREA = 0.35
CROP_STRETCH = math.log(1.3)


def augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Other photos of the same things: moved, turned, mirrored, lit and backed differently.

    Every draw comes from `seed` alone, so a resumed training sees what it would have seen.

    Args:
        images: uint8 `[n, height, width, 3]` RGB.
        seed: int32 `[2]`.

    Returns:
        float32 `[n, height, width, 3]` in 0..255.
    """
    draw = _Draw(seed, tf.shape(images)[0])
    pixels = _repaint_white(tf.cast(images, tf.float32), draw)
    pixels = _move(pixels, draw)
    return tf.clip_by_value(_relight(pixels, draw), 0.0, 255.0)


def crop(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A random part of each photo, enlarged to the photo's size.

    Args:
        images: uint8 `[n, height, width, 3]` RGB.
        seed: int32 `[2]`.

    Returns:
        float32 `[n, height, width, 3]` in 0..255.
    """
    _, height, width, _ = cast("tuple[int, int, int, int]", tuple(images.shape))
    draw = _Draw(seed, tf.shape(images)[0])
    area = draw.uniform(1, CROP_AREA, 1.0)
    stretch = tf.exp(draw.uniform(1, -CROP_STRETCH, CROP_STRETCH))
    rows = tf.minimum(tf.sqrt(area / stretch), 1.0)
    columns = tf.minimum(tf.sqrt(area * stretch), 1.0)
    top = draw.uniform(1, 0.0, 1.0) * (1 - rows)
    left = draw.uniform(1, 0.0, 1.0) * (1 - columns)
    boxes = tf.concat([top, left, top + rows, left + columns], axis=1)
    return tf.image.crop_and_resize(
        tf.cast(images, tf.float32), boxes, tf.range(tf.shape(images)[0]), [height, width]
    )


class _Draw:
    """Uniform numbers, a row a photo, each call from a seed of its own."""

    def __init__(self, seed: tf.Tensor, photos: tf.Tensor) -> None:
        self._seed = seed
        self._photos = photos
        self._calls = 0

    def uniform(self, columns: int, low: float, high: float) -> tf.Tensor:
        self._calls += 1
        return tf.random.stateless_uniform(
            tf.stack([self._photos, columns]),
            self._seed + tf.constant([0, 7919 * self._calls]),
            low,
            high,
        )


def _repaint_white(pixels: tf.Tensor, draw: _Draw) -> tf.Tensor:
    # Catalogue photos are cut out on white, users' photos are not: without this, white
    # itself becomes a sign for the tags of the catalogue sets.
    _, height, width, _ = cast("tuple[int, int, int, int]", tuple(pixels.shape))
    chosen = tf.cast(draw.uniform(1, 0.0, 1.0) < REPAINTED_SHARE, tf.float32)
    whiteness = tf.clip_by_value((tf.reduce_min(pixels, -1, keepdims=True) - 225) / 25, 0.0, 1.0)
    cover = whiteness * chosen[:, :, None, None]
    colour = draw.uniform(1, 30.0, 245.0) + draw.uniform(3, -60.0, 60.0)
    slope = draw.uniform(3, -60.0, 60.0)
    ramp = tf.linspace(-0.5, 0.5, height)[None, :, None, None]
    paint = colour[:, None, None, :] + slope[:, None, None, :] * ramp
    paint = tf.clip_by_value(paint, 0.0, 255.0) * tf.ones([1, 1, width, 1])
    return pixels * (1 - cover) + paint * cover


def _move(pixels: tf.Tensor, draw: _Draw) -> tf.Tensor:
    _, height, width, _ = cast("tuple[int, int, int, int]", tuple(pixels.shape))
    zoom = tf.exp(draw.uniform(1, -ZOOM, ZOOM))
    stretch = tf.exp(draw.uniform(1, -STRETCH, STRETCH))
    turn = draw.uniform(1, -TURN_RADIANS, TURN_RADIANS)
    mirror = tf.sign(draw.uniform(1, -1.0, 1.0))
    dx = draw.uniform(1, -SHIFT_SHARE, SHIFT_SHARE) * width
    dy = draw.uniform(1, -SHIFT_SHARE, SHIFT_SHARE) * height
    # The op asks where in the old image each new pixel comes from, around the middle.
    cx, cy = (width - 1) / 2, (height - 1) / 2
    a0, a1 = mirror * tf.cos(turn) / zoom * stretch, -mirror * tf.sin(turn) / zoom
    b0, b1 = tf.sin(turn) / zoom, tf.cos(turn) / zoom / stretch
    a2, b2 = cx + dx - a0 * cx - a1 * cy, cy + dy - b0 * cx - b1 * cy
    nothing = tf.zeros_like(a0)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels,
        transforms=tf.concat([a0, a1, a2, b0, b1, b2, nothing, nothing], axis=1),
        output_shape=tf.constant([height, width]),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def _relight(pixels: tf.Tensor, draw: _Draw) -> tf.Tensor:
    grey = tf.reduce_mean(pixels, -1, keepdims=True)
    pixels = grey + (pixels - grey) * draw.uniform(1, 0.4, 1.4)[:, :, None, None]
    middle = tf.reduce_mean(pixels, [1, 2, 3], keepdims=True)
    pixels = middle + (pixels - middle) * draw.uniform(1, 0.7, 1.3)[:, :, None, None]
    return (
        pixels * draw.uniform(3, 0.88, 1.12)[:, None, None, :]
        + (draw.uniform(1, -30.0, 30.0)[:, :, None, None])
    )
