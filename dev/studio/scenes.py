"""One photo's whole setting, drawn from a random generator: goods, place, light, camera, file."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from dev.studio import textures
from dev.studio.camera import aim
from dev.studio.catalogue import Kind
from dev.studio.lens import Encoding, Lens, develop
from dev.studio.light import Light
from dev.studio.mesh import Colour, Material, Model, grounded, moved, scaled, turned
from dev.studio.palette import pick
from dev.studio.render import Backdrop, render
from dev.studio.solids import box, circle, lathe, plate, prism, rounded, tube
from dev.studio.textures import Random, texture

_SIZE = 5.0  # every object is scaled to this length, so that backdrops fit all of them
_PIXELS = 330_000  # rendered pixels a photo: twice a 400 x 400 photo's, a soft 1200 x 900's half

_SHOP_SIZES = ((200, 200), (300, 300), (500, 500), (640, 640), (400, 300), (800, 600), (450, 600))
_HOME_SIZES = ((640, 480), (480, 640), (1200, 900), (800, 600), (1024, 576), (700, 933), (320, 240))


@dataclass(frozen=True, slots=True)
class Shot:
    """A finished photo before encoding."""

    photo: Image.Image
    encoding: Encoding
    in_shop: bool


def shoot(kind: Kind, rng: Random, *, in_shop: bool) -> Shot:
    """Build, pose and photograph one piece of goods."""
    goods = grounded(kind.build(rng))
    points = np.concatenate([part.vertices for part in goods])
    goods = scaled(goods, _SIZE / float(np.ptp(points, axis=0).max()))
    size = _size(kind, rng, in_shop=in_shop)
    width, height = size
    pose = kind.shop if in_shop else kind.home
    camera = aim(
        goods,
        azimuth=float(rng.uniform(*pose.azimuth)),
        elevation=float(rng.uniform(*pose.elevation)),
        roll=0.0 if in_shop else float(rng.normal(0, 4)),
        focal=float(rng.uniform(3.5, 6.0) if in_shop else rng.uniform(2.2, 3.5)),
        aspect=width / height,
        fill=float(rng.uniform(*pose.fill)),
        shift=(0.0, 0.0)
        if in_shop
        else (float(rng.uniform(-0.1, 0.1)), float(rng.uniform(-0.1, 0.1))),
    )
    backdrop = _shop() if in_shop else _home(kind, rng)
    scene = goods if in_shop else goods + _clutter(goods, rng)
    scale = min(2.0, (_PIXELS / (width * height)) ** 0.5)
    light = _shop_light(rng) if in_shop else _home_light(rng)
    picture = render(scene, backdrop, camera, light, (round(width * scale), round(height * scale)))
    lens = _shop_lens(rng) if in_shop else _home_lens(rng, width)
    return Shot(develop(picture, lens, size, rng), _encoding(rng, in_shop=in_shop), in_shop)


def _size(kind: Kind, rng: Random, *, in_shop: bool) -> tuple[int, int]:
    if in_shop and kind.aspect:
        width = int(rng.choice([200, 320, 480, 640]))
        return width, round(width / kind.aspect)
    sizes = _SHOP_SIZES if in_shop else _HOME_SIZES
    return sizes[int(rng.integers(len(sizes)))]


def _shop() -> Backdrop:
    white = Material((1, 1, 1))
    return Backdrop(white, white, sweep=True)


def _home(kind: Kind, rng: Random) -> Backdrop:
    surface = rng.random()
    if surface < 0.4:
        shade = pick(
            rng, (0.72, 0.52, 0.33), (0.5, 0.33, 0.2), (0.8, 0.68, 0.5), (0.33, 0.22, 0.15)
        )
        floor = Material((1, 1, 1), textures.wood(rng, shade), gloss=0.5, rough=0.5)
    elif surface < 0.65:
        shade = pick(rng, (0.85, 0.84, 0.8), (0.7, 0.7, 0.7), (0.2, 0.2, 0.22), (0.9, 0.88, 0.82))
        floor = Material((1, 1, 1), textures.laminate(rng, shade), gloss=0.4, rough=0.5)
    elif surface < 0.88:
        shade = pick(rng, (0.16, 0.17, 0.22), (0.5, 0.48, 0.45), (0.3, 0.38, 0.5), (0.6, 0.2, 0.2))
        floor = Material((1, 1, 1), textures.fabric(rng, shade), gloss=0.05, rough=0.9)
    else:
        floor = Material((1, 1, 1), textures.tiles(rng, (0.75, 0.72, 0.68)), gloss=0.8, rough=0.3)
    paint = pick(rng, (0.82, 0.8, 0.75), (0.75, 0.78, 0.8), (0.9, 0.88, 0.84), (0.6, 0.66, 0.62))
    wall = Material((1, 1, 1), textures.laminate(rng, paint), gloss=0.0, glow=0.25)
    away = float(rng.uniform(3.5, 8)) if kind.stands else 40.0
    return Backdrop(floor, wall, wall=away, tile=float(rng.uniform(5, 9)))


def _shop_light(rng: Random) -> Light:
    return Light(
        direction=(float(rng.uniform(-0.6, 0.6)), float(rng.uniform(-0.8, -0.3)), 1.0),
        key=float(rng.uniform(0.6, 0.9)),
        sky=float(rng.uniform(0.5, 0.7)),
        softness=0.05,
        window=float(rng.uniform(1.5, 2.5)),
    )


def _home_light(rng: Random) -> Light:
    return Light(
        direction=(float(rng.uniform(-1, 1)), float(rng.uniform(-0.6, 0.7)), 0.9),
        key=float(rng.uniform(0.4, 0.8)),
        sky=float(rng.uniform(0.35, 0.6)),
        softness=float(rng.uniform(0.015, 0.05)),
        window=float(rng.uniform(0.8, 1.8)),
    )


def _shop_lens(rng: Random) -> Lens:
    return Lens(exposure=float(rng.uniform(1.0, 1.15)), noise=0.004 * float(rng.random()))


def _home_lens(rng: Random, width: int) -> Lens:
    return Lens(
        exposure=float(rng.uniform(0.85, 1.3)),
        warmth=float(rng.normal(0.03, 0.07)),
        tint=float(rng.normal(0, 0.025)),
        vignette=float(rng.uniform(0.05, 0.35)),
        uneven=float(rng.uniform(-0.4, 0.4)),
        blur=float(rng.choice([0.0, 0.4, 0.8, 1.4])) * width / 800,
        noise=float(rng.uniform(0.008, 0.04)),
    )


def _encoding(rng: Random, *, in_shop: bool) -> Encoding:
    form = float(rng.random())
    orientation = 1
    if not in_shop and rng.random() < 0.25:
        orientation = int(rng.choice([3, 6, 8]))
    return Encoding(
        format="PNG" if form < 0.04 else "WEBP" if form < 0.08 else "JPEG",
        quality=int(rng.integers(78 if in_shop else 60, 93)),
        progressive=bool(rng.random() < 0.15),
        orientation=orientation,
    )


def _clutter(goods: Model, rng: Random) -> Model:
    """Up to three everyday things beside and behind the goods."""
    if rng.random() < 0.35:
        return []
    points = np.concatenate([part.vertices for part in goods])
    wide, deep = float(np.abs(points[:, 0]).max()), float(np.abs(points[:, 1]).max())
    things: Model = []
    for _ in range(int(rng.integers(1, 4))):
        thing = (_mug, _book, _paper, _pen)[int(rng.integers(4))](rng)
        side = float(rng.choice([-1, 1]))
        x, y = side * (wide + 1.1), float(rng.uniform(-deep, deep))
        if rng.random() < 0.5:
            x, y = float(rng.uniform(-wide, wide)), deep + 1.3
        things += moved(turned(thing, "z", float(rng.uniform(0, 360))), x, y)
    return things


def _mug(rng: Random) -> Model:
    colour: Colour = pick(
        rng, (0.9, 0.9, 0.88), (0.2, 0.35, 0.6), (0.7, 0.2, 0.15), (0.3, 0.5, 0.35)
    )
    glaze = Material(colour, gloss=1.0, rough=0.15)
    wall = [(0.0, 0.0), (0.62, 0.0), (0.68, 0.1), (0.7, 1.5), (0.64, 1.52), (0.62, 0.3), (0, 0.25)]
    turn = np.linspace(-1.5, 1.5, 16)
    ear = np.column_stack([0.65 + 0.45 * np.cos(turn), np.zeros(16), 0.8 + 0.45 * np.sin(turn)])
    drink = prism(circle(0.62), 0.01, Material((0.15, 0.08, 0.04), gloss=1.0, rough=0.1))
    return [lathe(wall, glaze), tube(ear.astype(np.float32), 0.09, glaze), *moved(drink, z=1.2)]


def _book(rng: Random) -> Model:
    colour = pick(rng, (0.5, 0.15, 0.15), (0.15, 0.3, 0.45), (0.2, 0.4, 0.3), (0.85, 0.7, 0.3))
    cover = Material(colour, gloss=0.5, rough=0.5)
    pages = Material((0.93, 0.9, 0.83), gloss=0.0)
    return [
        box((1.9, 2.6, 0.05), cover),
        box((1.82, 2.5, 0.3), pages, (0.03, 0, 0.05)),
        box((1.9, 2.6, 0.05), cover, (0, 0, 0.35)),
    ]


def _paper(rng: Random) -> Model:
    picture = textures.label(
        rng, 200, 280, paper=(0.95, 0.95, 0.94), band=(0.8, 0.82, 0.86), name=""
    )
    return [plate(1.8, 2.5, Material((1, 1, 1), texture(picture), gloss=0.1), (0, 0, 0.01))]


def _pen(rng: Random) -> Model:
    colour = pick(rng, (0.1, 0.2, 0.6), (0.1, 0.1, 0.1), (0.7, 0.1, 0.1))
    body = prism(rounded(0.16, 2.0, 0.07), 0.14, Material(colour, gloss=0.9, rough=0.2), bevel=0.05)
    tip = lathe([(0, 0), (0.03, 0.02), (0.07, 0.3)], Material((0.8, 0.8, 0.8), metal=1, gloss=1))
    return [*body, tip.turned("x", -90).moved(0, -1.3, 0.07)]
