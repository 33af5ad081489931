"""From meshes, a backdrop, a camera and a light to a linear picture.

Deferred: the z-buffer says which triangle a pixel sees, then all pixels are lit at once.
"""

from dataclasses import dataclass

import numpy as np

from dev.studio.camera import Camera
from dev.studio.light import Light, Surface, lit
from dev.studio.mesh import Floats, Ints, Material, Model, floats, unit
from dev.studio.raster import Doubles, rasterise, weight_planes


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """What stands behind the object: a floor at z = 0 and a wall at y = `wall`."""

    floor: Material
    behind: Material
    wall: float = 1e3
    tile: float = 6.0  #: side of the square of floor or wall that one texture covers
    sweep: bool = False  #: a shop's lit white sweep: it only shows shadows


def render(
    model: Model, backdrop: Backdrop, camera: Camera, light: Light, size: tuple[int, int]
) -> Floats:
    """Linear light [height, width, 3], about 1 for white paper; size is (width, height)."""
    width, height = size
    vertices = np.concatenate([part.vertices for part in model])
    triangles = _joined_faces(model)
    image, ahead = camera.project(vertices, width, height)
    corners, nearness = image[triangles], floats(1 / ahead[triangles])
    planes = weight_planes(corners)
    _, seen = rasterise(corners, nearness, planes, width, height)
    surface = _backdrop_seen(backdrop, camera, width, height)
    pixels = np.flatnonzero(seen >= 0)
    if len(pixels):
        weights = _perspective_weights(planes, nearness, seen[pixels], pixels, width)
        owner = np.repeat(np.arange(len(model)), [len(part.faces) for part in model])
        mine = seen[pixels]
        _lay(
            model,
            surface,
            pixels=pixels,
            owner=owner[mine],
            corners=triangles[mine],
            weights=weights,
        )
    colours = lit(surface, vertices[triangles], camera.place, light, size)
    return colours.reshape(height, width, 3)


def _joined_faces(model: Model) -> Ints:
    starts = np.cumsum([0] + [len(part.vertices) for part in model])
    return np.concatenate([part.faces + start for part, start in zip(model, starts, strict=False)])


def _perspective_weights(
    planes: Doubles, nearness: Floats, seen: Ints, pixels: Ints, width: int
) -> Floats:
    """Weights of a triangle's corners at pixels [n, 3], corrected for perspective."""
    x, y = pixels % width + 0.5, pixels // width + 0.5
    plane = planes[seen]
    flat = plane[..., 0] * x[:, None] + plane[..., 1] * y[:, None] + plane[..., 2]
    weights = flat * nearness[seen]
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _lay(
    model: Model, surface: Surface, *, pixels: Ints, owner: Ints, corners: Ints, weights: Floats
) -> None:
    """Put the model over the backdrop.

    Pixel i shows part owner[i] of the model, between the vertices corners[i] [3] with weights[i].
    """

    def mixed(values: Floats) -> Floats:
        return np.einsum("nk,nkd->nd", weights, values[corners])

    surface.points[pixels] = mixed(np.concatenate([part.vertices for part in model]))
    surface.normals[pixels] = unit(mixed(np.concatenate([part.normals for part in model])))
    uv = mixed(np.concatenate([part.uv for part in model]))
    order = np.argsort(owner, kind="stable")
    bounds = np.searchsorted(owner[order], np.arange(len(model) + 1))
    for part, start, stop in zip(model, bounds, bounds[1:], strict=False):
        if start < stop:
            mine = order[start:stop]
            surface.paint(pixels[mine], part.material, uv[mine])
    surface.sweep[pixels] = False


def _backdrop_seen(backdrop: Backdrop, camera: Camera, width: int, height: int) -> Surface:
    """The floor or wall that each pixel would see if there were no object."""
    rays = camera.rays(width, height)
    down = np.maximum(-rays[:, 2], 1e-6)
    to_floor = float(camera.place[2]) / down
    back = np.maximum(rays[:, 1], 1e-6)
    to_wall = np.minimum((backdrop.wall - float(camera.place[1])) / back, 1e4)
    on_floor = to_floor < to_wall
    reach = floats(np.where(on_floor, to_floor, to_wall))
    points = floats(camera.place + rays * reach[:, None])
    normals = np.where(on_floor[:, None], floats([0, 0, 1]), floats([0, -1, 0]))
    surface = Surface.empty(points, floats(normals))
    if backdrop.sweep:
        surface.sweep[:] = True
        surface.normals[:] = floats([0, 0, 1])
    for material, mine, axes in (
        (backdrop.floor, np.flatnonzero(on_floor), [0, 1]),
        (backdrop.behind, np.flatnonzero(~on_floor), [0, 2]),
    ):
        if len(mine):
            uv = floats(points[mine][:, axes] / backdrop.tile)
            surface.paint(mine, material, uv)
    return surface
