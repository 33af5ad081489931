"""Triangle meshes: a material, a part, and how parts are moved about.

Lengths have no unit: an object is a few units across and stands on z = 0, front towards -y.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]
Colour: TypeAlias = tuple[float, float, float]
Vector: TypeAlias = tuple[float, float, float]
ORIGIN: Vector = (0.0, 0.0, 0.0)


def floats(values: npt.ArrayLike) -> Floats:
    """Any numbers as a float32 array."""
    return np.asarray(values, np.float32)


def dimmed(colour: Colour, factor: float) -> Colour:
    """A colour with all three parts scaled, at most 1."""
    red, green, blue = (min(1.0, factor * value) for value in colour)
    return red, green, blue


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """How a surface answers light; colours are sRGB in 0..1."""

    colour: Colour = (0.5, 0.5, 0.5)
    texture: Floats | None = None  #: [h, w, 3] sRGB in 0..1, multiplies the colour
    gloss: float = 0.5  #: share of the mirror image that is seen, 0..1
    rough: float = 0.5  #: 0 is a mirror, 1 spreads the highlight over the whole sky
    metal: float = 0.0  #: 1 tints reflections with the colour and takes the matt part away
    glow: float = 0.0  #: light given off, times the colour


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One mesh of one material: vertices, normals [n, 3], uv [n, 2], faces [m, 3]."""

    vertices: Floats
    normals: Floats
    uv: Floats
    faces: Ints
    material: Material

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> "Part":
        return replace(self, vertices=self.vertices + floats([x, y, z]))

    def scaled(self, x: float, y: float, z: float) -> "Part":
        size = floats([x, y, z])
        return replace(self, vertices=self.vertices * size, normals=unit(self.normals / size))

    def turned(self, axis: str, degrees: float) -> "Part":
        """Rotate about the x, y or z axis through the origin, right-handed."""
        turn = rotation(axis, degrees)
        return replace(
            self, vertices=mapped(self.vertices, turn), normals=mapped(self.normals, turn)
        )


Model: TypeAlias = list[Part]


def moved(model: Model, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Model:
    return [part.moved(x, y, z) for part in model]


def turned(model: Model, axis: str, degrees: float) -> Model:
    return [part.turned(axis, degrees) for part in model]


def scaled(model: Model, factor: float) -> Model:
    return [part.scaled(factor, factor, factor) for part in model]


def grounded(model: Model) -> Model:
    """The model set down so that its lowest point touches z = 0 and its middle is x = y = 0."""
    points = np.concatenate([part.vertices for part in model])
    low, high = points.min(0), points.max(0)
    middle = (low + high) / 2
    return moved(model, -float(middle[0]), -float(middle[1]), -float(low[2]))


def unit(vectors: Floats) -> Floats:
    """Vectors of length one along the last axis."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    return floats(vectors / np.maximum(length, 1e-9))


def mapped(points: Floats, axes: Floats) -> Floats:
    """Coordinates [..., 3] of points along the rows of `axes` [3, 3].

    Not a matrix product: BLAS would start threads that fight the other photos' processes.
    """
    return np.einsum("...i,ki->...k", points, axes)


def along(vectors: Floats, direction: Floats) -> Floats:
    """The dot products [n] of vectors [n, 3] with one direction [3]."""
    return np.einsum("ni,i->n", vectors, direction)


def rotation(axis: str, degrees: float) -> Floats:
    """The 3 x 3 matrix of a right-handed turn about `axis`."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    turn = np.eye(3, dtype=np.float32)
    turn[first, first] = turn[second, second] = cos
    turn[first, second], turn[second, first] = -sin, sin
    return turn
