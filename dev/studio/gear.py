"""What is carried, worn or heard: cameras, headsets, speakers, microphones, backpacks."""

import numpy as np
from PIL import ImageDraw

from dev.studio import textures
from dev.studio.mesh import Colour, Material, Model, Part, floats, grounded, moved, turned, unit
from dev.studio.palette import BLACK, GREY, SILVER, WHITE, brand, pick
from dev.studio.solids import blob, box, circle, curve, lathe, plate, prism, rounded, tube
from dev.studio.textures import Random, texture


def camera(rng: Random) -> Model:
    colour = pick(
        rng, SILVER, SILVER, SILVER, (0.7, 0.7, 0.72), BLACK, (0.2, 0.2, 0.23), (0.5, 0.1, 0.12)
    )
    metal = 0.5 if colour in (SILVER, (0.7, 0.7, 0.72)) else 0.0
    shell = Material(colour, gloss=0.8, rough=0.4, metal=metal)
    chrome = Material((0.85, 0.85, 0.87), metal=1, gloss=1.1, rough=0.25)
    dark = Material((0.05, 0.05, 0.06), gloss=1.0, rough=0.2)
    wide, tall = 4.4, float(rng.uniform(2.5, 3.0))
    face = prism(rounded(wide, tall, float(rng.uniform(0.2, 0.7))), 1.1, shell, bevel=0.18)
    x, y = float(rng.uniform(0.45, 0.9)), -0.1
    size = float(rng.uniform(0.85, 1.05))
    barrel = chrome if rng.random() < 0.65 else dark
    rings = [
        (1.15, 1.1),
        (1.15, 1.25),
        (1.0, 1.3),
        (1.0, 1.5),
        (0.86, 1.55),
        (0.86, 1.75),
        (0.78, 1.8),
        (0.7, 1.78),
    ]
    face.append(lathe([(r * size, z) for r, z in rings], barrel, at=(x, y, 0), steps=48))
    inner = [(0.7, 1.78), (0.5, 1.66), (0.42, 1.64)]
    face.append(lathe([(r * size, z) for r, z in inner], dark, at=(x, y, 0), steps=40))
    glass = Material((0.12, 0.08, 0.25), gloss=2.6, rough=0.05)
    face.append(blob((0.86 * size, 0.86 * size, 0.3), glass, power=(1, 1, 1)).moved(x, y, 1.62))
    flash = Material((0.9, 0.9, 0.86), gloss=1.2, rough=0.15)
    face += prism(
        rounded(0.75, 0.36, 0.08), 0.05, flash, bevel=0.02, at=(x - 1.6, tall / 2 - 0.5, 1.1)
    )
    face += prism(rounded(0.4, 0.3, 0.06), 0.05, dark, at=(x + 0.1, tall / 2 - 0.3, 1.1))
    plain = colour if metal == 0 else (0.8, 0.8, 0.82)
    picture = textures.blank(260, 70, plain)
    mark: Colour = (0.15, 0.15, 0.2) if colour in (SILVER, (0.7, 0.7, 0.72)) else (0.9, 0.9, 0.9)
    textures.write(ImageDraw.Draw(picture), (130, 35), brand(rng).upper(), 46, mark)
    tag = Material((1, 1, 1), texture(picture), gloss=0.4, rough=0.5, metal=metal * 0.5)
    face.append(plate(1.2, 0.32, tag, (-1.0, tall / 2 - 0.95, 1.105)))
    if rng.random() < 0.6:
        rubber = Material((0.16, 0.16, 0.17), gloss=0.3, rough=0.7)
        face += prism(
            rounded(0.5, tall * 0.7, 0.2), 0.25, rubber, bevel=0.12, at=(-1.8, -0.15, 1.0)
        )
    body = turned(face, "x", 90)
    knobs = prism(circle(0.3), 0.16, chrome, bevel=0.04, at=(-1.4, -0.5, tall / 2))
    knobs += prism(circle(0.42), 0.12, chrome, bevel=0.04, at=(1.2, -0.5, tall / 2))
    if rng.random() < 0.3:  # a bridge camera: a hump with the viewfinder over the lens
        hump = turned(prism(rounded(1.5, 0.9, 0.3), 0.9, shell, bevel=0.15), "x", 90)
        knobs = [*knobs, *moved(hump, x, -0.1, tall / 2 + 0.15)]
    return grounded([*body, *knobs])


def headset(rng: Random) -> Model:
    colour = pick(rng, BLACK, BLACK, BLACK, (0.2, 0.2, 0.22), SILVER, WHITE, (0.9, 0.6, 0.65))
    shell = Material(colour, gloss=0.8, rough=0.3)
    pad = Material((0.1, 0.1, 0.11), gloss=0.3, rough=0.7)
    accent = Material(pick(rng, (0.75, 0.1, 0.1), SILVER, GREY, BLACK), gloss=1.0, rough=0.3)
    turn = np.linspace(-0.12, np.pi + 0.12, 40)
    arch = np.column_stack([1.55 * np.cos(turn), np.zeros(40), 1.75 * np.sin(turn)])
    band = tube(arch.astype(np.float32), 0.13, shell, steps=12).scaled(1, 2.6, 1)
    inside = tube((arch[8:-8] * 0.93).astype(np.float32), 0.12, pad, steps=10).scaled(1, 2.4, 1)
    model: Model = [band, inside]
    for side in (-1, 1):
        cup = [(0, 0.42), (0.55, 0.42), (0.8, 0.3), (0.88, 0.1), (0.88, 0), (0.8, -0.02)]
        ear: Model = [lathe(cup, shell)]
        ear.append(lathe([(0.5, 0.4), (0.52, 0.46), (0.42, 0.48), (0, 0.46)], accent))
        ear.append(lathe([(0.8, 0), (0.94, -0.12), (0.9, -0.34), (0.7, -0.4), (0.45, -0.3)], pad))
        ear = turned([part.scaled(1, 1.18, 1) for part in ear], "y", side * 90)
        model += moved(turned(ear, "z", side * -12), side * 1.55, 0, -0.55)
        model.append(box((0.14, 0.3, 0.9), accent, (side * 1.6, 0, -0.3)))
    if rng.random() < 0.45:
        boom = curve((-1.75, 0, -0.7), (-1.8, -0.8, -1.2), (-1.5, -1.7, -1.6), (-1.0, -2.1, -1.6))
        model.append(tube(boom, 0.06, shell))
        model.append(blob((0.5, 0.32, 0.32), pad, power=(1, 1, 1)).moved(-0.9, -2.1, -1.6))
    if rng.random() < 0.4:
        lead = curve((1.6, 0, -1.5), (1.7, -0.3, -2.0), (0.6, -1.2, -2.1), (-0.6, -0.6, -2.1))
        model.append(tube(lead, 0.06, pad))
    if rng.random() < 0.35:
        model = turned(model, "x", -68)  # laid down on its cups
    return grounded(model)


def speakers(rng: Random) -> Model:
    wood: Colour = (0.4, 0.26, 0.16)
    colour = pick(rng, BLACK, BLACK, SILVER, wood, (0.85, 0.82, 0.74))
    shell = Material(colour, gloss=0.6, rough=0.4)
    wide, tall, deep = 1.5, float(rng.uniform(2.2, 3.0)), 1.5
    trim = Material(pick(rng, SILVER, GREY, BLACK), gloss=1.0, rough=0.3)
    cone = Material((0.14, 0.14, 0.15), gloss=0.6, rough=0.5)
    grille = bool(rng.random() < 0.3)
    face = prism(rounded(wide, tall, float(rng.uniform(0.06, 0.35))), deep, shell, bevel=0.08)
    if grille:
        dots = textures.fabric(rng, (0.16, 0.16, 0.17))
        cloth = Material((1, 1, 1), dots, gloss=0.2)
        face += prism(
            rounded(wide * 0.82, tall * 0.86, 0.15), 0.05, cloth, bevel=0.02, at=(0, 0.1, deep)
        )
    else:
        for y, size in ((-tall * 0.16, 0.6), (tall * 0.28, 0.34)):
            ring = [(1.08, 0.0), (1.08, 0.07), (0.95, 0.07), (0.88, 0.0)]
            face.append(lathe([(r * size, z) for r, z in ring], trim, at=(0, y, deep)))
            bowl = [(0.9, 0.02), (0.75, 0.06), (0.3, -0.14), (0.3, -0.1), (0.2, 0.0), (0, 0.03)]
            face.append(
                lathe([(r * size, z + 0.02) for r, z in bowl], cone, at=(0, y, deep + 0.02))
            )
            base = prism(circle(0.9 * size), 0.005, cone, at=(0, y, deep))
            face += base
    face += prism(circle(0.1, 16), 0.1, trim, at=(0.5, -tall / 2 + 0.2, deep))
    one = turned(face, "x", 90)
    gap = float(rng.uniform(1.0, 1.4))
    left = moved(turned(one, "z", 10), -gap, 0, 0)
    right = moved(turned(one, "z", -10), gap, 0, 0)
    return grounded([*left, *right])


def microphone(rng: Random) -> Model:
    colour = pick(rng, BLACK, BLACK, SILVER, (0.15, 0.2, 0.45))
    shell = Material(colour, gloss=0.9, rough=0.3, metal=0.3)
    dots = np.full((16, 16, 3), 0.35, np.float32)
    dots[::4] = dots[:, ::4] = 0.12
    grid = Material((1, 1, 1), np.tile(dots, (8, 12, 1)), gloss=0.9, rough=0.3, metal=0.5)
    ring = Material((0.8, 0.8, 0.82), metal=1, gloss=1.1, rough=0.25)
    head = [(0.62, 1.4), (0.62, 2.1), (0.58, 2.4), (0.4, 2.62), (0, 2.7)]
    model: Model = [lathe([(0, 0), (0.55, 0), (0.6, 0.1), (0.6, 1.3)], shell)]
    model.append(lathe([(0.6, 1.3), (0.66, 1.32), (0.66, 1.42), (0.62, 1.44)], ring))
    model.append(lathe(head, grid))
    model += prism(circle(0.13, 16), 0.1, ring, at=(0, 0, 0))
    knob = turned(prism(circle(0.14, 16), 0.1, ring, bevel=0.03), "x", 90)
    model += moved(knob, 0, -0.6, 0.9)
    model = moved(model, z=1.0)
    yoke = curve((-0.75, 0, 2.0), (-0.78, 0, 1.0), (0, 0, 0.6), (0.78, 0, 1.0), (0.75, 0, 2.0))
    model.append(tube(yoke, 0.09, shell))
    model += prism(circle(0.12, 12), 0.6, shell, at=(0, 0, 0.05))
    model += prism(circle(1.0), 0.14, shell, bevel=0.06)
    return model


def backpack(rng: Random) -> Model:
    colour = pick(
        rng,
        (0.13, 0.13, 0.15),
        (0.2, 0.24, 0.35),
        (0.65, 0.1, 0.12),
        (0.35, 0.36, 0.38),
        (0.32, 0.3, 0.2),
    )
    second = pick(rng, (0.1, 0.1, 0.11), (0.1, 0.1, 0.11), (0.35, 0.36, 0.38), (0.25, 0.25, 0.3))
    main = Material((1, 1, 1), textures.fabric(rng, colour), gloss=0.25, rough=0.7)
    trim = Material((1, 1, 1), textures.fabric(rng, second), gloss=0.25, rough=0.7)
    zip_line = Material((0.04, 0.04, 0.05), gloss=0.5, rough=0.5)
    model: Model = [_sack((3.2, 1.9, 4.6), main, 0.16).moved(z=2.3)]
    model.append(_sack((2.5, 1.0, 1.9), trim, 0.08).moved(0, -0.85, 1.25))
    model.append(_sack((2.2, 0.8, 1.2), main, 0.08).moved(0, -0.8, 2.75))
    for side in (-1, 1):
        model.append(_sack((0.7, 1.2, 1.6), trim, 0.08).moved(side * 1.45, 0, 1.1))
        strap = curve(
            (side * 0.5, 0.8, 4.3),
            (side * 0.95, 1.4, 4.2),
            (side * 1.5, 1.6, 2.6),
            (side * 1.6, 0.9, 0.5),
        )
        model.append(tube(strap, 0.17, trim, steps=10))
        seam = curve(
            (side * 1.42, -0.55, 0.6),
            (side * 1.45, -0.6, 2.6),
            (side * 1.1, -0.6, 4.0),
            (0, -0.6, 4.42),
        )
        model.append(tube(seam, 0.05, zip_line, steps=6))
    for z, wide in ((2.12, 1.1), (3.3, 0.95)):
        line = curve(
            (-wide, -0.95, z - 0.15),
            (-wide * 0.6, -1.2, z),
            (wide * 0.6, -1.2, z),
            (wide, -0.95, z - 0.15),
        )
        model.append(tube(line, 0.045, zip_line, steps=6))
    handle = curve((-0.4, 0.4, 4.45), (-0.3, 0.4, 4.85), (0.3, 0.4, 4.85), (0.4, 0.4, 4.45))
    model.append(tube(handle, 0.1, trim))
    badge = Material(pick(rng, SILVER, (0.8, 0.1, 0.1), WHITE), gloss=0.6)
    model += moved(turned(prism(rounded(0.5, 0.3, 0.06), 0.05, badge), "x", 90), 0, -1.18, 2.75)
    return grounded(model)


def _sack(size: tuple[float, float, float], material: Material, slack: float) -> Part:
    """A stuffed bag: a soft box, narrower at the top, dented here and there."""
    body = blob(size, material, power=(0.45, 0.45, 0.5), steps=36)
    place = body.vertices / floats(size)
    taper = 1 - 0.3 * (place[:, 2] + 0.5) ** 2
    dents = slack * (np.sin(7 * place[:, 0] + 3) + np.sin(9 * place[:, 2] + 5 * place[:, 1]))
    out = body.vertices * np.column_stack([taper, taper, np.ones_like(taper)])
    out = out + body.normals * (0.35 * dents * min(size) * 0.2)[:, None]
    ripple = slack * np.sin(11 * place + 2 * place[:, [2, 0, 1]])
    bump = unit(floats(body.normals + ripple))
    uv = np.column_stack([place[:, 0] + place[:, 1], -place[:, 2]]) * floats(2)
    return Part(floats(out), bump, floats(uv), body.faces, material)
