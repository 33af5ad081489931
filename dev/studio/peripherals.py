"""What lies on a desk: mice, monitors, laptops, webcams."""

import numpy as np
from PIL import ImageDraw

from dev.studio import textures
from dev.studio.keyboards import keys
from dev.studio.mesh import (
    Material,
    Model,
    Part,
    dimmed,
    grounded,
    moved,
    turned,
)
from dev.studio.palette import BLACK, GREY, SILVER, WHITE, brand, pick
from dev.studio.solids import blob, box, circle, curve, lathe, plate, prism, rounded, tube
from dev.studio.textures import Random, texture


def mouse(rng: Random) -> Model:
    colour = pick(rng, BLACK, BLACK, (0.2, 0.2, 0.22), WHITE, (0.7, 0.72, 0.75), (0.75, 0.1, 0.1))
    picture = textures.blank(256, 384, (1, 1, 1))
    draw = ImageDraw.Draw(picture)
    seam = (70, 70, 75)
    draw.line([(128, 0), (128, 165)], fill=seam, width=5)
    draw.arc([0, 90, 256, 210], 10, 170, fill=seam, width=4)
    draw.rounded_rectangle([112, 45, 144, 130], 14, fill=(40, 40, 42))
    textures.write(draw, (128, 300), brand(rng), 26, (0.55, 0.55, 0.58))
    shell = Material(colour, texture(picture), gloss=0.9, rough=float(rng.uniform(0.2, 0.5)))
    body = blob((2.2, 3.7, 2.4), shell, power=(0.75, 0.75, 0.8), steps=44)
    place = body.vertices.copy()
    along = place[:, 1] / 1.85
    place[:, 2] = np.maximum(place[:, 2], 0) * (0.88 - 0.22 * along - 0.18 * along**2)
    place[:, 0] *= 1 - 0.12 * np.cos(along * 2.4)
    body = Part(place, body.normals, body.uv, body.faces, shell)
    wheel = lathe([(0, -0.13), (0.36, -0.13), (0.42, 0), (0.36, 0.13), (0, 0.13)], Material(BLACK))
    model = [body, wheel.turned("y", 90).moved(0, 1.0, 0.55)]
    accent = Material(pick(rng, GREY, BLACK, SILVER, (0.6, 0.15, 0.12)), gloss=0.8, rough=0.3)
    model.append(blob((0.22, 1.1, 0.2), accent).moved(-0.96, 0.25, 0.55))
    if rng.random() < 0.6:
        lead = curve(
            (0, 1.8, 0.2), (0.1, 2.8, 0.1), (1.2, 3.6, 0.1), (1.9, 3.0, 0.1), (2.4, 1.8, 0.1)
        )
        model.append(tube(lead, 0.09, Material(BLACK)))
    return model


def monitor(rng: Random) -> Model:
    wide, tall = (5.2, 3.1) if rng.random() < 0.75 else (4.4, 3.5)
    case = Material(pick(rng, BLACK, BLACK, BLACK, SILVER), gloss=0.8, rough=0.3)
    frame = float(rng.uniform(0.1, 0.22))
    glow = float(rng.choice([0.85, 0.85, 0.0]))
    if glow:
        shown = Material((1, 1, 1), textures.desktop(rng), gloss=0.4, rough=0.2, glow=glow)
    else:
        shown = Material((0.06, 0.06, 0.07), gloss=1.6, rough=0.3)
    panel = [*prism(rounded(wide, tall, 0.1), 0.3, case, bevel=0.05)]
    panel.append(plate(wide - 2 * frame, tall - 2.4 * frame, shown, (0, 0.2 * frame, 0.305)))
    panel = moved(turned(panel, "x", 90), z=tall / 2 + 0.9)
    stand = [box((0.7, 0.3, 1.6), case, (0, 0.2, 0.1))]
    stand += prism(rounded(2.0, 1.3, 0.6), 0.1, case, bevel=0.04, at=(0, 0.2, 0))
    return panel + stand


def laptop(rng: Random) -> Model:
    colour = pick(rng, SILVER, BLACK, (0.3, 0.3, 0.33), (0.7, 0.15, 0.15), WHITE)
    shell = Material(colour, gloss=0.8, rough=0.35)
    black = Material((0.05, 0.05, 0.06), gloss=0.9, rough=0.2)
    model = prism(rounded(5, 3.4, 0.25), 0.2, shell, bevel=0.05)
    caps = keys(rng, BLACK, (0.8, 0.8, 0.8), full=False, height=0.15, taper=0.95)
    model += [part.scaled(0.29, 0.27, 0.3).moved(0, 0.5, 0.205) for part in caps]
    pad = Material(dimmed(colour, 0.85), gloss=0.6)
    model.append(plate(1.3, 0.8, pad, (0, -1.1, 0.205)))
    lid = prism(rounded(5, 3.3, 0.2), 0.12, shell, bevel=0.04)
    lid.append(plate(4.9, 3.2, black, (0, 0, 0.122)))
    picture = Material((1, 1, 1), textures.desktop(rng), gloss=0.4, rough=0.2, glow=0.85)
    lid.append(plate(4.5, 2.8, picture, (0, 0.05, 0.126)))
    lid = turned(moved(lid, y=1.65), "x", float(rng.uniform(68, 80)))
    return model + moved(lid, y=1.6, z=0.18)


def webcam(rng: Random) -> Model:
    colour = pick(rng, BLACK, BLACK, (0.2, 0.2, 0.22), GREY)
    shell = Material(colour, gloss=0.7, rough=0.35)
    dark = Material((0.04, 0.04, 0.05), gloss=1.2, rough=0.15)
    wide = float(rng.choice([1.6, 2.8, 3.2]))
    head = prism(rounded(wide, 1.1, 0.55, 10), 0.75, shell, bevel=0.15)
    head += prism(circle(0.46), 0.12, dark, bevel=0.04, at=(0, 0, 0.75))
    head.append(
        lathe(
            [(0.46, 0.8), (0.42, 0.93), (0.36, 0.93), (0.3, 0.84)],
            Material(SILVER, metal=1, gloss=1, rough=0.2),
        )
    )
    glass = Material((0.1, 0.08, 0.22), gloss=2.5, rough=0.05)
    head.append(blob((0.6, 0.6, 0.24), glass, power=(1, 1, 1), steps=28).moved(z=0.84))
    head.append(blob((0.1, 0.1, 0.06), Material((0.2, 0.5, 1.0), glow=1.0)).moved(0.7, 0, 0.76))
    head = moved(turned(head, "x", 90), z=1.75)
    clip = [box((0.5, 0.45, 0.5), shell, (0, -0.35, 0.9))]
    clip += moved(prism(rounded(1.3, 1.0, 0.2), 0.22, shell, bevel=0.06), 0, -0.3, 0.75)
    clip += moved(
        turned(prism(rounded(1.2, 1.2, 0.2), 0.2, shell, bevel=0.05), "x", 62), 0, -0.35, 0.4
    )
    lead = curve((0.3, 0, 1.0), (1.2, 0.5, 0.3), (2.2, 0.2, 0.1), (1.8, -0.8, 0.1))
    return grounded([*head, *clip, *([tube(lead, 0.07, shell)] if rng.random() < 0.6 else [])])
