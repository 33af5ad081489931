"""What light does to the surfaces that were seen.

A soft key light and a sky of several directions each cast shadows through a depth map of their
own, so contact shadows and the dark inside a lens barrel come without special cases. Glossy
things mirror a plain studio: a floor, a sky and one bright window.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dev.studio.mesh import Floats, Ints, Material, Vector, along, floats, mapped, unit
from dev.studio.raster import rasterise, weight_planes

_SKY = 10  # directions that the sky's shadows are sampled from
_MAP = 256  # side of a depth map in pixels
_STRIDE = 2  # shadows are soft: they are looked up at every second pixel each way
_TAPS = 8  # look-ups that blur the key light's shadow


@dataclass(frozen=True, slots=True)
class Light:
    """A soft key light from `direction` under a dimmer sky."""

    direction: Vector = (-0.4, -0.5, 0.8)
    key: float = 0.7
    sky: float = 0.5
    softness: float = 0.03  #: radius of the key shadow's edge as a share of the object's size
    window: float = 1.8  #: brightness of the window that shows in glossy things


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """What every pixel sees: points, normals and linear colour [n, 3]; gloss.. glow [n]."""

    points: Floats
    normals: Floats
    colour: Floats
    gloss: Floats
    rough: Floats
    metal: Floats
    glow: Floats
    sweep: npt.NDArray[np.bool_]

    @classmethod
    def empty(cls, points: Floats, normals: Floats) -> "Surface":
        count = len(points)
        gloss, rough, metal, glow = (np.zeros(count, np.float32) for _ in range(4))
        colour, sweep = np.zeros_like(points), np.zeros(count, np.bool_)
        return cls(points, normals, colour, gloss, rough, metal, glow, sweep)

    def paint(self, pixels: Ints, material: Material, uv: Floats) -> None:
        """Give pixels the material's answers and its colour at texture places uv [n, 2]."""
        colour = floats(material.colour)
        if material.texture is None:
            self.colour[pixels] = colour**2.2
        else:
            self.colour[pixels] = (_texels(material.texture, uv) * colour) ** 2.2
        self.gloss[pixels] = material.gloss
        self.rough[pixels] = material.rough
        self.metal[pixels] = material.metal
        self.glow[pixels] = material.glow


def _texels(texture: Floats, uv: Floats) -> Floats:
    """Bilinear look-up with wrap-around, in a texture shrunk to about one texel a pixel."""
    area = np.ptp(uv, axis=0).prod() * texture.shape[0] * texture.shape[1]
    shrink = int(np.sqrt(area / max(len(uv), 1)))
    if shrink > 1:
        shrink = min(shrink, *texture.shape[:2])
        rows, columns = texture.shape[0] // shrink, texture.shape[1] // shrink
        texture = texture[: rows * shrink, : columns * shrink]
        texture = texture.reshape(rows, shrink, columns, shrink, 3).mean((1, 3))
    rows, columns = texture.shape[:2]
    place = uv * floats([columns, rows]) - floats(0.5)
    corner = np.floor(place)
    across, down = (place - corner).T[..., None]
    left, top = corner.astype(np.int64).T
    right, low = (left + 1) % columns, (top + 1) % rows
    left, top = left % columns, top % rows
    upper = texture[top, left] * (1 - across) + texture[top, right] * across
    lower = texture[low, left] * (1 - across) + texture[low, right] * across
    return upper * (1 - down) + lower * down


class _DepthMap:
    """How far light from one direction gets before it meets a triangle."""

    def __init__(self, corners: Floats, towards: Floats) -> None:
        aside = unit(np.cross(towards, floats([0.31, 0.87, 0.11])))
        self.axes = np.stack([aside, np.cross(aside, towards), towards]).astype(np.float32)
        local = mapped(corners, self.axes)
        flat = local.reshape(-1, 3)
        self.low = flat.min(0) - floats(0.01)
        self.span = float((flat.max(0) - self.low).max()) * 1.02
        image = ((local[..., :2] - self.low[:2]) * (_MAP / self.span)).astype(np.float32)
        self.depth, _ = rasterise(image, local[..., 2], weight_planes(image), _MAP, _MAP)

    def seen(self, points: Floats, aside: Floats) -> Floats:
        """1 where the light reaches [n, 3] points, looked up `aside` (in spans) of them."""
        local = mapped(points, self.axes)
        place = (local[:, :2] - self.low[:2]) * floats(_MAP / self.span)
        place += aside * floats(_MAP)
        cell = np.clip(place, 0, _MAP - 1).astype(np.int64)
        inside = ((place >= 0) & (place < _MAP)).all(1)
        blocked = self.depth[cell[:, 1] * _MAP + cell[:, 0]] > local[:, 2]
        return floats(1) - (blocked & inside)


def lit(
    surface: Surface, corners: Floats, eye: Floats, light: Light, size: tuple[int, int]
) -> Floats:
    """Linear colour [n, 3] of every pixel of an image of `size` (width, height).

    `corners` [m, 3, 3] are the triangles that may stand in the light's way.
    """
    view = unit(eye - surface.points)
    facing = np.einsum("ni,ni->n", surface.normals, view)
    away = (facing < 0) & ~surface.sweep  # a sweep curves up to meet every look
    normals = np.where(away[:, None], -surface.normals, surface.normals)
    facing = np.abs(facing)
    towards = unit(floats(light.direction))
    key, sky = _shadows(surface.points, normals, corners, light, size)
    slope = np.maximum(along(normals, towards), 0)
    mirrored = 2 * facing[:, None] * normals - view
    base, metal = surface.colour, surface.metal[:, None]
    matt = (1 - metal) * (light.key * key * slope + light.sky * sky)[:, None] * base
    fresnel = (1 - facing) ** 5
    mirror = (0.05 * (1 - metal) + metal * base) * (1 - fresnel[:, None]) + (
        fresnel * (1 - 0.6 * surface.rough)
    )[:, None] * (1 - 0.5 * metal)
    room = _room(mirrored, surface.rough, towards, light) * (0.25 + 0.75 * sky)
    colour = matt + surface.gloss[:, None] * mirror * room[:, None]
    colour += surface.glow[:, None] * base
    # A lit sweep stays white: only what takes sky or key light from it shows.
    shade = (0.30 + 0.22 * key + 0.48 * sky / np.maximum(sky.max(), 1e-6))[:, None]
    colour[surface.sweep] = (base * np.minimum(shade * 1.02, 1))[surface.sweep]
    return floats(colour)


def _room(directions: Floats, rough: Floats, towards: Floats, light: Light) -> Floats:
    """Light [n] that comes from `directions`: floor, sky, a window over the key light."""
    blur = 0.08 + 0.6 * rough
    up = np.clip(directions[:, 2] / blur * 0.5 + 0.5, 0, 1)
    plain = light.sky * (0.25 + 0.75 * up)
    near = along(directions, unit(towards + floats([0, 0.2, 0.3])))
    edge = np.clip((near - 0.86) / (blur * 0.8) + 0.5, 0, 1)
    return floats(plain + light.window * edge * edge * (3 - 2 * edge) * (1.25 - rough))


def _shadows(
    points: Floats, normals: Floats, corners: Floats, light: Light, size: tuple[int, int]
) -> tuple[Floats, Floats]:
    """How much key light and how much sky [n] reaches each pixel, 0..1 each."""
    extent = float(np.ptp(corners.reshape(-1, 3), axis=0).max())
    shape = (size[1], size[0], 3)
    some = points.reshape(shape)[::_STRIDE, ::_STRIDE]
    upright = normals.reshape(shape)[::_STRIDE, ::_STRIDE]
    grid = some.shape[:2]
    # Lifted off its own surface, or the map's grain would shade it with itself.
    lifted = floats(some + upright * (0.012 * extent)).reshape(-1, 3)
    upright = upright.reshape(-1, 3)
    key_map = _DepthMap(corners, unit(floats(light.direction)))
    key = np.zeros(len(lifted), np.float32)
    for tap in range(_TAPS):  # a sunflower spiral covers a disc evenly
        radius = light.softness * np.sqrt((tap + 0.5) / _TAPS)
        angle = tap * 2.39996
        spot = radius * floats([np.cos(angle), np.sin(angle)])
        key += key_map.seen(lifted, floats(spot))
    sky = np.zeros(len(lifted), np.float32)
    # Scattered look-ups turn the edges of ten hard shadows into grain that _spread smooths.
    scatter = np.random.default_rng(0).normal(0, 0.014, (len(lifted), 2)).astype(np.float32)
    for step in range(_SKY):
        rise = 1 - (step + 0.5) / _SKY * 0.92
        angle = step * 2.39996
        flat = np.sqrt(1 - rise * rise)
        direction = floats([flat * np.cos(angle), flat * np.sin(angle), rise])
        weight = np.maximum(along(upright, direction), 0) * floats(2 / _SKY)
        sky += weight * _DepthMap(corners, direction).seen(lifted, scatter)
    sky += 0.22 * (1 - upright[:, 2]) / 2  # light that comes back from the floor
    return _spread(floats(key / _TAPS), grid, size), _spread(sky, grid, size)


def _spread(values: Floats, grid: tuple[int, ...], size: tuple[int, int]) -> Floats:
    """Values at every second pixel, smoothed a little and laid over the whole image."""
    plane = values.reshape(grid)
    for _ in range(2):
        plane = np.pad(plane, 1, mode="edge")
        rows = plane[:-2] + 2 * plane[1:-1] + plane[2:]
        plane = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16
    full = plane.repeat(_STRIDE, 0).repeat(_STRIDE, 1)[: size[1], : size[0]]
    return full.reshape(-1).astype(np.float32)
