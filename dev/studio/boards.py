"""Circuit boards: graphics cards, memory, motherboards, processors."""

import numpy as np
from PIL import ImageDraw

from dev.studio import textures
from dev.studio.mesh import Colour, Material, Model, dimmed, floats, moved, turned
from dev.studio.palette import (
    BLACK,
    BLACK_BOARD,
    BLUE,
    CHIP,
    GOLD,
    GREEN,
    GREY,
    PLASTIC,
    SILVER,
    STEEL,
    WHITE,
    brand,
    pick,
)
from dev.studio.solids import box, boxes, circle, lathe, plate, prism, rounded
from dev.studio.textures import Random, texture


def _contacts(width: float, count: int, material: Material = GOLD) -> Model:
    """A row of contact fingers along x, `width` long in all."""
    x = np.linspace(-width / 2, width / 2, count)
    places = np.column_stack([x, np.zeros(count), np.zeros(count)]).astype(np.float32)
    return [boxes(places, floats([[width / count * 0.7, 0.3, 0.03]] * count), material)]


def graphics_card(rng: Random) -> Model:
    fans = int(rng.choice([1, 2, 2, 3]))
    wide = (3.6, 5.0, 6.2)[fans - 1]
    tall = 2.3
    accent = pick(rng, (0.8, 0.1, 0.1), (0.3, 0.3, 0.32), (0.2, 0.7, 0.3), (0.9, 0.5, 0.1), GREY)
    cover = pick(rng, BLACK, BLACK, (0.2, 0.2, 0.22), WHITE)
    model: Model = [box((wide, tall, 0.08), board_material(rng, wide, tall))]
    shroud = Material(cover, gloss=0.8, rough=0.35)
    fins = np.column_stack([np.linspace(-wide / 2 + 0.2, wide / 2 - 0.2, 60), np.zeros((60, 2))])
    places = floats(fins + np.array([0, 0, 0.1]))
    model.append(boxes(places, floats([[0.03, tall - 0.1, 0.4]] * 60), STEEL))
    model += prism(rounded(wide - 0.1, tall + 0.15, 0.25), 0.4, shroud, bevel=0.12, at=(0, 0, 0.45))
    radius = min(tall * 0.45, wide / fans * 0.46)
    for index in range(fans):
        x = (index - (fans - 1) / 2) * wide / fans * 0.96
        blades = textures.fan(rng, (0.3, 0.3, 0.32), accent)
        face = Material((1, 1, 1), blades, gloss=0.5, rough=0.4)
        model += prism(circle(radius), 0.02, PLASTIC, top=face, at=(x, 0, 0.86))
        ring = [(radius, 0.8), (radius * 1.05, 0.92), (radius * 1.1, 0.85)]
        model.append(lathe(ring, Material(accent, gloss=0.9, rough=0.3), at=(x, 0, 0)))
    stripe = Material(accent, gloss=0.9, rough=0.3)
    for side in (-1, 1):
        model.append(
            box((wide * 0.25, 0.12, 0.04), stripe, (side * wide * 0.3, side * tall * 0.46, 0.83))
        )
    model.append(box((0.06, tall + 0.7, 1.1), STEEL, (-wide / 2 - 0.05, 0.2, -0.1)))
    model.append(
        box((wide * 0.38, 0.3, 0.07), Material(GREEN), (-wide * 0.18, -tall / 2 - 0.14, 0))
    )
    model += moved(_contacts(wide * 0.36, 24), -wide * 0.18, -tall / 2 - 0.14, 0.07)
    return turned(model, "x", float(rng.choice([70, 78, 60])))


def board_material(rng: Random, wide: float, tall: float, colour: Colour | None = None) -> Material:
    shade = colour or pick(rng, GREEN, BLACK_BOARD, BLUE)
    size = (int(90 * wide), int(90 * tall))
    return Material((1, 1, 1), texture(textures.board(rng, *size, shade)), gloss=0.5, rough=0.4)


def memory(rng: Random) -> Model:
    """One module lying flat: bare chips on a board, or a coloured heat spreader."""
    wide, tall = 6.6, 1.5
    model: Model = []
    bare = bool(rng.random() < 0.5)
    shade = pick(rng, GREEN, GREEN, (0.05, 0.5, 0.3), BLACK_BOARD) if bare else BLACK_BOARD
    model.append(box((wide, tall, 0.07), board_material(rng, wide, tall, shade)))
    for middle, long in ((-1.55, 3.2), (1.75, 2.8)):
        model += moved(_contacts(long, 40), middle, -tall / 2 + 0.16, 0.06)
    model.append(box((0.12, 0.3, 0.09), Material((0.95, 0.95, 0.95)), (0.22, -tall / 2 + 0.1, 0)))
    if bare:
        places = [(-2.75 + 0.78 * index, 0.18, 0.07) for index in range(8)]
        sizes = floats([[0.6, 0.85, 0.08]] * 8)
        model.append(boxes(floats(places), sizes, CHIP))
        if rng.random() < 0.6:
            paper = textures.label(
                rng, 320, 120, paper=WHITE, band=pick(rng, WHITE, BLUE), name=brand(rng)
            )
            sticker = Material((1, 1, 1), texture(paper), gloss=0.4)
            model.append(plate(2.2, 0.8, sticker, (-1.0, 0.2, 0.16)))
        return model
    colour = pick(
        rng, (0.8, 0.08, 0.08), (0.1, 0.25, 0.7), BLACK, (0.85, 0.75, 0.1), (0.65, 0.66, 0.7)
    )
    jacket = Material(colour, gloss=1.0, rough=0.3, metal=0.4)
    model += prism(rounded(wide - 0.2, tall - 0.35, 0.1), 0.2, jacket, bevel=0.08, at=(0, 0.25, 0))
    x = np.linspace(-wide / 2 + 0.4, wide / 2 - 0.4, 11)
    comb = np.column_stack([x, np.full(11, tall / 2 + 0.15), np.zeros(11)]).astype(np.float32)
    model.append(boxes(comb, floats([[0.42, 0.3, 0.2]] * 11), jacket))
    picture = textures.blank(400, 90, dimmed(colour, 0.35))
    textures.write(ImageDraw.Draw(picture), (200, 45), brand(rng).upper(), 60, (0.95, 0.95, 0.95))
    model.append(
        plate(3.4, 0.6, Material((1, 1, 1), texture(picture), gloss=0.5), (0, 0.25, 0.205))
    )
    return model


def motherboard(rng: Random) -> Model:
    wide, tall = (4.6, 5.6) if rng.random() < 0.6 else (5.2, 5.2)
    colour = pick(rng, BLACK_BOARD, (0.2, 0.2, 0.21), (0.1, 0.34, 0.26), (0.2, 0.34, 0.48))
    model: Model = [box((wide, tall, 0.08), board_material(rng, wide, tall, colour))]
    slot = pick(rng, (0.75, 0.7, 0.4), (0.25, 0.4, 0.65), BLACK, BLACK, (0.6, 0.15, 0.15), WHITE)
    left, top = -wide / 2, tall / 2
    # The processor's socket, right of the ports at the back edge.
    model.append(
        box((1.25, 1.35, 0.1), Material((0.85, 0.82, 0.75)), (left + 1.75, top - 1.5, 0.08))
    )
    model.append(box((1.0, 1.0, 0.12), STEEL, (left + 1.75, top - 1.5, 0.1)))
    model.append(
        box((0.7, 0.7, 0.14), Material((0.5, 0.47, 0.4), gloss=0.7), (left + 1.75, top - 1.5, 0.1))
    )
    for index in range(4):  # memory slots
        shade = Material(slot if index % 2 else BLACK, gloss=0.5)
        model.append(
            box((0.13, 2.6, 0.25), shade, (wide / 2 - 1.1 + 0.24 * index, top - 1.55, 0.08))
        )
    for index in range(4):  # expansion slots
        long = 2.6 if index % 2 else 1.0
        shade = Material(slot if index in (1, 3) else pick(rng, BLACK, WHITE), gloss=0.5)
        model.append(
            box((long, 0.16, 0.28), shade, (left + 0.5 + long / 2, -0.5 - 0.5 * index, 0.08))
        )
    ports = [0.5, 0.4, 0.55, 0.4, 0.45]
    y = top - 0.25
    for depth in ports:
        kind = Material(pick(rng, BLUE, GREEN, BLACK)) if rng.random() < 0.3 else STEEL
        model.append(box((0.6, depth, 0.55), kind, (left + 0.3, y - depth / 2, 0.08)))
        y -= depth + 0.04
    sink = Material(pick(rng, SILVER, slot, (0.2, 0.2, 0.22)), metal=0.6, gloss=1, rough=0.3)
    for x, y, w, d in (
        (left + 0.9, top - 1.6, 0.35, 1.5),
        (left + 1.8, top - 0.4, 1.6, 0.35),
        (0.9, -1.3, 0.95, 0.95),
    ):
        fins = 7
        offset = np.linspace(-w / 2, w / 2, fins) + x
        places = np.column_stack([offset, np.full(fins, y), np.full(fins, 0.08)])
        sizes = floats([[w / fins * 0.65, d, 0.4]] * fins)
        model.append(boxes(places.astype(np.float32), sizes, sink))
    can = Material((0.6, 0.6, 0.65), metal=0.8, gloss=1, rough=0.3)
    for _ in range(18):
        x, y = left + float(rng.uniform(0.8, 2.6)), top - float(rng.uniform(0.2, 2.6))
        if abs(x - left - 1.75) > 0.7 or abs(y - top + 1.5) > 0.75:
            model += prism(circle(0.08, 10), 0.3, can, at=(x, y, 0.08))
    for x, y, side in ((0.3, -2.3, 0.3), (1.6, -0.6, 0.35), (left + 1.5, -0.2, 0.3)):
        model.append(box((side, side, 0.05), CHIP, (x, min(y, top), 0.08)))
    model += prism(circle(0.24), 0.1, STEEL, at=(0.5, -0.55, 0.08))
    for index in range(4):
        model.append(
            box((0.4, 0.25, 0.25), Material(slot), (wide / 2 - 0.3, -1.0 - 0.35 * index, 0.08))
        )
    model.append(box((0.25, 1.2, 0.3), Material(WHITE), (wide / 2 - 0.16, top - 2.2, 0.08)))
    return model


def processor(rng: Random) -> Model:
    side = 4.0
    colour = pick(rng, GREEN, GREEN, (0.05, 0.35, 0.25), (0.2, 0.4, 0.2))
    edge = Material((1, 1, 1), texture(textures.board(rng, 180, 180, colour)), gloss=0.6, rough=0.4)
    model = [box((side, side, 0.14), edge)]
    lid = Material((0.84, 0.83, 0.8), metal=0.35, gloss=0.8, rough=0.5)
    picture = textures.blank(320, 320, (0.86, 0.85, 0.82))
    draw = ImageDraw.Draw(picture)
    dark = (0.45, 0.45, 0.45)
    textures.write(draw, (160, 70), brand(rng).upper(), 44, dark)
    for index, words in enumerate(("C7-4820K", "3.60 GHZ", "MALAY 9B2", "L422C114")):
        textures.write(draw, (160, 130 + 40 * index), words, 26, dark)
    top = Material((1, 1, 1), texture(picture), metal=0.3, gloss=0.7, rough=0.5)
    model += prism(rounded(3.5, 3.5, 0.3), 0.12, lid, bevel=0.05, at=(0, 0, 0.14))
    model += prism(rounded(3.05, 3.05, 0.2), 0.14, lid, bevel=0.05, top=top, at=(0, 0, 0.24))
    for x, y in ((-1.85, -1.85), (1.85, 1.85)):
        model += prism(circle(0.06, 8), 0.02, GOLD, at=(x, y, 0.15))
    return model
