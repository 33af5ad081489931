"""What is built of sheet metal: drives and computer cases."""

import numpy as np
from PIL import ImageDraw

from dev.studio import textures
from dev.studio.boards import board_material
from dev.studio.mesh import Colour, Material, Model, floats, moved, turned
from dev.studio.palette import BLACK, BLUE, CHIP, GREEN, PLASTIC, SILVER, STEEL, WHITE, brand, pick
from dev.studio.solids import box, circle, plate, prism, rounded
from dev.studio.textures import Random, ink, texture


def hard_drive(rng: Random) -> Model:
    """Lying on its long side, as shops show it."""
    return turned(_drive(rng), "z", -90)


def _drive(rng: Random) -> Model:
    body = Material((0.72, 0.73, 0.75), metal=0.7, gloss=1.0, rough=0.45)
    kind = rng.random()
    if kind < 0.25:  # opened: platters, an arm, a motor
        model = prism(rounded(4.0, 5.6, 0.25), 0.9, PLASTIC, bevel=0.08)
        mirror = Material((0.85, 0.85, 0.88), metal=1, gloss=1.2, rough=0.12)
        model += moved(prism(circle(1.75, 48), 0.06, mirror, bevel=0.02), 0, 0.75, 0.92)
        model += moved(prism(circle(0.55), 0.12, body, bevel=0.04), 0, 0.75, 0.95)
        for index in range(6):
            angle = index * np.pi / 3
            place = (0.35 * float(np.cos(angle)), 0.75 + 0.35 * float(np.sin(angle)), 1.07)
            model += prism(circle(0.06, 10), 0.02, PLASTIC, at=place)
        arm = floats([[-0.25, 0, 0], [0.25, 0, 0], [0.06, 2.4, 0], [-0.06, 2.4, 0]])[:, :2]
        model += moved(turned(prism(arm, 0.07, STEEL), "z", 28), 1.2, -1.7, 1.05)
        model += moved(prism(circle(0.4), 0.2, STEEL, bevel=0.05), 1.2, -1.8, 0.95)
        model.append(box((1.6, 1.1, 0.25), body, (-0.2, -2.0, 0.9)))
        return [*model, *_rim(body, 4.0, 5.6)]
    if kind < 0.42:  # a flat solid-state drive
        model = prism(
            rounded(4.0, 5.6, 0.2), 0.4, Material(BLACK, gloss=0.6, rough=0.4), bevel=0.06
        )
        picture = textures.label(
            rng,
            300,
            360,
            paper=(0.1, 0.1, 0.12),
            band=pick(rng, (0.8, 0.1, 0.1), BLUE, SILVER),
            name=brand(rng),
        )
        model.append(
            plate(3.2, 3.6, Material((1, 1, 1), texture(picture), gloss=0.5), (0, 0.3, 0.405))
        )
        return model
    if kind < 0.68:  # face down: the circuit board under the spindle
        model = prism(rounded(4.0, 5.6, 0.2), 0.9, Material(BLACK, metal=0.3, gloss=0.8), bevel=0.1)
        under = board_material(rng, 3.6, 3.6, pick(rng, GREEN, (0.1, 0.5, 0.15), BLUE))
        model.append(box((3.6, 3.4, 0.06), under, (0, -0.9, 0.9)))
        model += prism(circle(0.9), 0.1, STEEL, bevel=0.04, at=(0, 0.3, 0.92))
        model += [box((0.7, 0.7, 0.08), CHIP, (x, y, 0.95)) for x, y in ((-0.9, -1.6), (0.8, -1.2))]
        return model
    shell = body if kind < 0.88 else Material((0.16, 0.16, 0.17), metal=0.4, gloss=0.9, rough=0.4)
    model = prism(rounded(4.0, 5.6, 0.25), 0.95, shell, bevel=0.1)
    model += prism(rounded(3.7, 5.2, 0.7), 0.06, shell, bevel=0.03, at=(0, 0, 0.95))
    band = pick(rng, BLUE, (0.15, 0.6, 0.2), (0.1, 0.1, 0.1), (0.75, 0.1, 0.1), (0.4, 0.2, 0.6))
    paper = textures.label(rng, 400, 320, paper=(0.95, 0.95, 0.93), band=band, name=brand(rng))
    sticker = Material((1, 1, 1), texture(paper), gloss=0.4)
    model += turned([plate(4.0, 3.2, sticker, (0.2, 0, 1.018))], "z", 90)
    screws = [(-1.75, 2.55), (1.75, 2.55), (-1.75, -2.55), (1.75, -2.55), (-1.8, 0), (1.8, 0)]
    for x, y in screws:
        model += prism(circle(0.2, 14), 0.04, PLASTIC, at=(x, y, 0.99))
    return model


def _rim(material: Material, wide: float, tall: float) -> Model:
    """The raised edge round an opened drive."""
    edges = [((0, tall / 2 - 0.1), (wide, 0.2)), ((0, -tall / 2 + 0.1), (wide, 0.2))]
    edges += [((wide / 2 - 0.08, 0), (0.16, tall)), ((-wide / 2 + 0.08, 0), (0.16, tall))]
    return [box((w, d, 0.3), material, (x, y, 0.85)) for (x, y), (w, d) in edges]


def computer_case(rng: Random) -> Model:
    wide, deep, tall = 2.3, 4.6, 5.0
    colour = pick(rng, BLACK, BLACK, BLACK, (0.2, 0.2, 0.22), WHITE)
    steel = Material(colour, gloss=0.6, rough=0.45)
    glow = bool(rng.random() < 0.6)
    model: Model = [box((wide, deep, tall), steel, (0, 0, 0.2))]
    for y in (-deep / 2 + 0.5, deep / 2 - 0.5):
        model.append(box((wide * 0.95, 0.5, 0.2), PLASTIC, (0, y, 0)))
    tints: tuple[Colour, ...] = ((0.9, 0.2, 0.8), (0.2, 0.5, 1.0), (0.2, 0.9, 0.8), (1.0, 0.3, 0.2))
    tint = pick(rng, *tints)
    mesh = texture(textures.blank(8, 8, (0.1, 0.1, 0.11)))
    front: Model = [plate(wide * 0.9, tall * 0.94, Material((1, 1, 1), mesh, gloss=0.8, rough=0.3))]
    for index in range(3):
        if glow:
            blades = textures.fan(rng, tint, (1, 1, 1), count=9)
            face = Material((1, 1, 1), blades, gloss=0.4, glow=1.1)
        else:
            blades = textures.fan(rng, (0.2, 0.2, 0.22), (0.3, 0.3, 0.32), count=9)
            face = Material((1, 1, 1), blades, gloss=0.4)
        front += prism(circle(0.72), 0.02, PLASTIC, top=face, at=(0, 1.5 - 1.5 * index, 0.02))
    model += moved(turned(front, "x", 90), 0, -deep / 2 - 0.02, 0.2 + tall / 2)
    model += _window(rng, deep, tall, tint if glow else None, wide)
    return model


def _window(rng: Random, deep: float, tall: float, tint: Colour | None, wide: float) -> Model:
    """The glass side with a board, a card and a cooler behind it, on the left (-x)."""
    picture = textures.board(rng, 360, 400, (0.07, 0.07, 0.09))
    draw = ImageDraw.Draw(picture)
    draw.rectangle([60, 30, 280, 300], fill=(24, 26, 34))
    draw.rectangle([70, 180, 330, 225], fill=(70, 72, 78))
    draw.rectangle([0, 320, 360, 400], fill=(16, 16, 18))
    lamp = ink(tint) if tint else (120, 122, 126)
    draw.ellipse([130, 70, 200, 140], outline=lamp, width=9)
    for index in range(4):
        draw.rectangle([222 + 14 * index, 55, 228 + 14 * index, 160], fill=lamp)
    draw.line([(70, 228), (330, 228)], fill=lamp, width=4)
    inside = Material(
        (1, 1, 1), texture(picture), gloss=1.6, rough=0.08, glow=0.7 if tint else 0.15
    )
    pane = plate(deep * 0.9, tall * 0.9, inside)
    return [pane.turned("x", 90).turned("z", -90).moved(-wide / 2 - 0.02, 0, 0.2 + tall / 2)]
