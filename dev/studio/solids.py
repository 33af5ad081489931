"""The handful of solids that every object here is built from."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dev.studio.mesh import (
    ORIGIN,
    Floats,
    Ints,
    Material,
    Model,
    Part,
    Vector,
    floats,
    moved,
    unit,
)


def grid(points: Floats, material: Material, *, uv: Floats | None = None) -> Part:
    """A smooth surface through points [rows, columns, 3]."""
    rows, columns = points.shape[:2]
    along = np.gradient(points, axis=1)
    if np.allclose(points[:, 0], points[:, -1], atol=1e-5):  # a closed ring has no seam
        along[:, 0] = along[:, -1] = (points[:, 1] - points[:, -2]) / 2
    normals = unit(np.cross(along, np.gradient(points, axis=0)).astype(np.float32))
    if uv is None:
        u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(1, 0, rows))
        uv = np.stack([u, v], -1).astype(np.float32)
    index: Ints = np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)
    here, right = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    below, across = index[1:, :-1].ravel(), index[1:, 1:].ravel()
    return Part(
        points.reshape(-1, 3).astype(np.float32),
        normals.reshape(-1, 3),
        uv.reshape(-1, 2),
        np.concatenate(
            [np.column_stack([here, right, across]), np.column_stack([here, across, below])]
        ),
        material,
    )


def quads(corners: Floats, material: Material, uv: Floats | None = None) -> Part:
    """Flat four-cornered faces; corners [n, 4, 3], uv [n, 4, 2] (default: the whole texture)."""
    count = len(corners)
    if uv is None:
        uv = np.tile(floats([[0, 1], [1, 1], [1, 0], [0, 0]]), (count, 1, 1))
    normal = unit(np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]))
    first = np.arange(count)[:, None] * 4
    return Part(
        corners.reshape(-1, 3).astype(np.float32),
        np.repeat(normal, 4, 0).astype(np.float32),
        uv.reshape(-1, 2),
        np.concatenate([first + np.array([0, 1, 2]), first + np.array([0, 2, 3])]),
        material,
    )


def boxes(
    centres: Floats, sizes: Floats, material: Material, *, taper: float = 1.0, top: bool = True
) -> Part:
    """Many boxes at once: centres of their bottoms [n, 3], sizes [n, 3]; tops shrink by `taper`."""
    low = floats([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * floats([0.5, 0.5, 1])
    high = low * floats([taper, taper, 1]) + floats([0, 0, 1])
    corner = np.concatenate([low, high])
    sides = [[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]] + [[4, 5, 6, 7]] * top
    solid = corner[np.array(sides)]
    placed = solid[None] * sizes[:, None, None] + centres[:, None, None]
    return quads(placed.reshape(-1, 4, 3), material)


def box(size: Vector, material: Material, at: Vector = ORIGIN, *, taper: float = 1.0) -> Part:
    """One box; `at` is the centre of its bottom."""
    return boxes(floats([at]), floats([size]), material, taper=taper)


def plate(width: float, height: float, material: Material, at: Vector = ORIGIN) -> Part:
    """A flat picture that faces up, its top edge towards +y, centred on `at`."""
    x, y = width / 2, height / 2
    corners = floats([[[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]]])
    return quads(corners, material).moved(*at)


def circle(radius: float, steps: int = 36) -> Floats:
    """Points [steps, 2] round a circle, anticlockwise."""
    angle = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return (radius * np.stack([np.cos(angle), np.sin(angle)], -1)).astype(np.float32)


def rounded(width: float, depth: float, radius: float, steps: int = 6) -> Floats:
    """The outline [n, 2] of a rectangle with round corners, anticlockwise."""
    radius = min(radius, width / 2, depth / 2)
    angle = np.linspace(0, np.pi / 2, steps)
    arc = radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    flip = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    corners = [
        (arc if sx * sy > 0 else arc[::-1]) * [sx, sy]
        + [sx * (width / 2 - radius), sy * (depth / 2 - radius)]
        for sx, sy in flip
    ]
    return np.concatenate(corners).astype(np.float32)


def prism(
    outline: Floats,
    height: float,
    material: Material,
    *,
    bevel: float = 0.0,
    top: Material | None = None,
    at: Vector = ORIGIN,
) -> Model:
    """An extruded outline [n, 2] with a bevelled upper edge; `top` covers the cap.

    The cap's texture is stretched over the outline's bounding box.
    """
    low, high = outline.min(0), outline.max(0)
    middle, half = (low + high) / 2, (high - low) / 2
    ring = np.concatenate([outline, outline[:1]])
    levels: list[Floats] = []
    for inset, z in ((0.0, 0.0), (0.0, height - bevel), (0.3, height - 0.3 * bevel), (1.0, height)):
        shrunk = middle + (ring - middle) * (1 - inset * bevel / half)
        levels.append(np.column_stack([shrunk, np.full(len(ring), z)]).astype(np.float32))
    sides = grid(np.stack(levels), material)
    cap = levels[-1]
    uv = (cap[:, :2] - low) / (high - low) * [1, -1] + [0, 1]
    centre = np.append(middle, height)
    count = len(ring)
    fan = np.column_stack([np.full(count - 1, count), np.arange(count - 1), np.arange(1, count)])
    lid = Part(
        np.concatenate([cap, centre[None]]).astype(np.float32),
        np.tile(floats([0, 0, 1]), (count + 1, 1)),
        np.concatenate([uv, [[0.5, 0.5]]]).astype(np.float32),
        fan,
        top or material,
    )
    return moved([sides, lid], *at)


def lathe(
    profile: Sequence[tuple[float, float]],
    material: Material,
    *,
    steps: int = 36,
    at: Vector = ORIGIN,
) -> Part:
    """A profile of (radius, z) points turned about the z axis."""
    turn = np.linspace(0, 2 * np.pi, steps + 1)
    radius, z = floats(profile).T
    points = np.stack(
        [
            radius[:, None] * np.cos(turn),
            radius[:, None] * np.sin(turn),
            np.broadcast_to(z[:, None], (len(z), len(turn))),
        ],
        -1,
    )
    return grid(points.astype(np.float32), material).moved(*at)


def tube(path: Floats, radius: float, material: Material, *, steps: int = 8) -> Part:
    """A round cable along path [n, 3]."""
    ahead = unit(np.gradient(path, axis=0).astype(np.float32))
    aside = np.cross(ahead, floats([0.13, 0.21, 0.97]))
    aside = unit(aside.astype(np.float32))
    above = np.cross(aside, ahead).astype(np.float32)
    turn = np.linspace(0, 2 * np.pi, steps + 1, dtype=np.float32)[None, :, None]
    ring = np.cos(turn) * aside[:, None] + np.sin(turn) * above[:, None]
    return grid((path[:, None] + radius * ring).astype(np.float32), material)


def blob(
    size: Vector, material: Material, *, power: Vector = (0.6, 0.6, 0.6), steps: int = 40
) -> Part:
    """A superellipsoid of full `size` about the origin; power 1 is a ball, near 0 a box.

    Its texture is laid over it from above.
    """
    turn = np.linspace(0, 2 * np.pi, steps + 1)
    rise = np.linspace(-np.pi / 2, np.pi / 2, steps // 2)[:, None]

    def bent(value: npt.NDArray[np.float64], to: float) -> npt.NDArray[np.float64]:
        return np.sign(value) * np.abs(value) ** to

    flat = bent(np.cos(rise), power[2])
    unit_points = np.stack(
        [
            flat * bent(np.cos(turn), power[0]),
            flat * bent(np.sin(turn), power[1]),
            np.broadcast_to(bent(np.sin(rise), power[2]), (len(rise), len(turn))),
        ],
        -1,
    ).astype(np.float32)
    uv = unit_points[..., :2] * floats([0.5, -0.5]) + floats(0.5)
    return grid(floats(unit_points * floats(size) / 2), material, uv=uv)


def curve(*points: Vector, steps: int = 24) -> Floats:
    """A smooth path [n, 3] through the points (Catmull-Rom)."""
    knots = floats([points[0], *points, points[-1]])
    time = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None]
    pieces: list[Floats] = []
    for a, b, c, d in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        bend = (2 * a - 5 * b + 4 * c - d) * time + (3 * (b - c) + d - a) * time**2
        pieces.append(b + 0.5 * time * ((c - a) + bend))
    return np.concatenate([*pieces, knots[-1:]]).astype(np.float32)
