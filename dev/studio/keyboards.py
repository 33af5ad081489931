"""Keyboards, and the field of keys that laptops have too."""

import numpy as np
from PIL import ImageDraw

from dev.studio import textures
from dev.studio.mesh import Colour, Floats, Material, Model, dimmed, floats, moved, turned
from dev.studio.palette import BLACK, SILVER, WHITE, pick
from dev.studio.solids import box, boxes, curve, prism, quads, rounded, tube
from dev.studio.textures import Random, texture

_ROWS = (  # widths of keys in units; negative leaves a gap; 15 units without the number block
    (1, -1, 1, 1, 1, 1, -0.5, 1, 1, 1, 1, -0.5, 1, 1, 1, 1),
    (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2),
    (1.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1.5),
    (1.75, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2.25),
    (2.25, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2.75),
    (1.25, 1.25, 1.25, 6.25, 1.25, 1.25, 1.25, 1.25),
)
_LEGENDS = "QWERTYUIOPASDFGHJKLZXCVBNM0123456789,./;[]-=<>+*#!?&"


def _key_places(full: bool) -> tuple[Floats, Floats]:
    """Centres [n, 2] and widths [n] of the keys, in units of one key."""
    centres: list[tuple[float, float]] = []
    widths: list[float] = []
    for row, keys in enumerate(_ROWS):
        x = 0.0
        for width in keys:
            if width > 0:
                centres.append((x + width / 2, -row))
                widths.append(width)
            x += abs(width)
        for column in range(3 if full else 0):
            if row != 3 and not (row == 4 and column != 1):
                centres.append((15.75 + column, -row))
                widths.append(1)
        for column in range(4 if full and row else 0):
            centres.append((19.25 + column, -row))
            widths.append(1)
    return floats(centres), floats(widths)


def _legends(colour: Colour, print_colour: Colour) -> Floats:
    """8 x 8 key tops in one picture."""
    picture = textures.blank(512, 512, colour)
    draw = ImageDraw.Draw(picture)
    for index in range(64):
        place = (index % 8 * 64 + 24, index // 8 * 64 + 24)
        textures.write(draw, place, _LEGENDS[index % len(_LEGENDS)], 30, print_colour)
    return texture(picture)


def keys(
    rng: Random,
    colour: Colour,
    print_colour: Colour,
    *,
    full: bool,
    height: float = 0.45,
    taper: float = 0.78,
    tints: list[Colour] | None = None,
) -> Model:
    """A field of keys, one unit each, lying on z = 0 with its middle at the origin."""
    centres, widths = _key_places(full)
    centres = centres - (centres.min(0) + centres.max(0)) / 2
    sizes = np.column_stack([widths - 0.1, np.full(len(widths), 0.9), np.full(len(widths), height)])
    bottoms = np.column_stack([centres, np.zeros(len(centres))])
    group = rng.integers(0, len(tints) if tints else 1, len(widths))
    model: Model = []
    for index, tint in enumerate(tints or [colour]):
        mine = np.flatnonzero(group == index)
        skirt = Material(tint, gloss=0.5, rough=0.5)
        cap = Material((1, 1, 1), _legends(tint, print_colour), gloss=0.5, rough=0.6)
        place, size = floats(bottoms[mine]), floats(sizes[mine])
        model.append(boxes(place, size, skirt, taper=taper, top=False))
        half = size[:, :2] * floats(taper / 2)
        sign = floats([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        flat = place[:, None, :2] + sign * half[:, None]
        tops = np.concatenate([flat, np.full((*flat.shape[:2], 1), height)], -1)
        cell = rng.integers(0, 8, (len(mine), 1, 2))
        uv = (cell + floats([[0, 1], [1, 1], [1, 0], [0, 0]]) * 0.94 + 0.03) / 8
        model.append(quads(tops.astype(np.float32), cap, uv.astype(np.float32)))
    return model


def keyboard(rng: Random) -> Model:
    full = bool(rng.random() < 0.6)
    style = rng.random()
    tints: list[Colour] | None = None
    if style < 0.45:
        colour, mark, case = (0.1, 0.1, 0.11), (0.85, 0.85, 0.85), pick(rng, BLACK, BLACK, SILVER)
    elif style < 0.75:
        colour, mark, case = (0.92, 0.92, 0.9), (0.2, 0.2, 0.25), pick(rng, SILVER, WHITE)
    else:
        colour, mark, case = WHITE, (0.3, 0.3, 0.3), (0.9, 0.88, 0.88)
        tints = [(0.95, 0.75, 0.75), (0.75, 0.9, 0.85), (0.95, 0.92, 0.85), (0.75, 0.8, 0.95)]
    width, depth = (22.75, 6.0) if full else (15.0, 6.0)
    body = Material(case, gloss=0.6, rough=0.4)
    model = prism(rounded(width + 0.9, depth + 0.9, 0.5), 0.7, body, bevel=0.15)
    bed = Material(dimmed(case, 0.35), gloss=0.2)
    model.append(box((width + 0.1, depth + 0.1, 0.02), bed, (0, 0, 0.7)))
    model += moved(keys(rng, colour, mark, full=full, tints=tints), z=0.7)
    if rng.random() < 0.5:
        lead = curve((0, 3.3, 0.4), (0.5, 4.5, 0.2), (-2, 5.2, 0.2), (-5, 5.0, 0.2))
        model.append(tube(lead, 0.16, Material(BLACK)))
    return turned(model, "x", 5)
