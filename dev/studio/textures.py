"""Pictures that are laid over meshes: boards, labels, screens, fans, fabrics. All drawn here."""

from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dev.studio.mesh import Colour, Floats, dimmed, floats

Random: TypeAlias = np.random.Generator
Ink: TypeAlias = tuple[int, int, int]

BRANDS = ("NORVA", "Kestrel", "OHMIC", "Tarn", "VOLTRIN", "Brenka", "Lumeva", "HALDEN", "Pikra")


def ink(colour: Colour) -> Ink:
    """A colour in 0..1 as Pillow wants it."""
    red, green, blue = (max(0, min(255, round(255 * value))) for value in colour)
    return red, green, blue


def blank(width: int, height: int, colour: Colour) -> Image.Image:
    return Image.new("RGB", (width, height), ink(colour))


def texture(picture: Image.Image) -> Floats:
    """A picture as [h, w, 3] floats in 0..1."""
    return np.asarray(picture.convert("RGB"), np.float32) / floats(255)


def write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], words: str, size: float, colour: Colour
) -> None:
    """Words centred on a place in pixels."""
    draw.text(place, words, fill=ink(colour), font=ImageFont.load_default(size), anchor="mm")


def noise(rng: Random, width: int, height: int, grain: int) -> Floats:
    """Smooth random values [h, w] in about -1..1 with lumps of `grain` pixels, seamless."""
    across, down = max(1, width // grain), max(1, height // grain)
    small = np.clip(rng.normal(128, 44, (down, across)), 0, 255).astype(np.uint8)
    margin = 3  # cells: as far as bicubic interpolation looks
    lumps = Image.fromarray(np.pad(small, margin, mode="wrap"))
    box = (margin, margin, margin + across, margin + down)
    smooth = lumps.resize((width, height), Image.Resampling.BICUBIC, box=box)
    return floats((np.asarray(smooth, np.float32) - 128) / 64)


def wood(rng: Random, colour: Colour) -> Floats:
    """Planks with grain along x, [512, 512, 3]."""
    side = 512
    rows = np.arange(side)[:, None]
    grain = noise(rng, side, side, 4)
    fibres = np.asarray(
        Image.fromarray((grain * 60 + 128).clip(0, 255).astype(np.uint8))
        .resize((24, side))
        .resize((side, side), Image.Resampling.BICUBIC),
        np.float32,
    )
    rings = np.sin(rows / 9 + 5 * noise(rng, side, side, 128) + 2 * noise(rng, side, side, 64))
    plank = rows // 128
    value = 1 + 0.05 * rings + (fibres - 128) / 500 + 0.07 * np.sin(plank * 4.0)
    value = np.where(rows % 128 < 2, 0.55, value)
    return np.clip(value[..., None] * floats(colour), 0, 1).astype(np.float32)


def fabric(rng: Random, colour: Colour, folds: float = 0.12) -> Floats:
    """Woven cloth with soft folds, [512, 512, 3]."""
    side = 512
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    weave = 0.05 * np.sin(x * np.pi / 3) * np.sin(y * np.pi / 3)
    slow = folds * noise(rng, side, side, 96) + 0.05 * rng.normal(0, 1, (side, side))
    return np.clip((1 + weave + slow)[..., None] * floats(colour), 0, 1).astype(np.float32)


def laminate(rng: Random, colour: Colour) -> Floats:
    """A plain desk with faint specks and stains, [256, 256, 3]."""
    value = 1 + 0.03 * noise(rng, 256, 256, 64) + 0.015 * rng.normal(0, 1, (256, 256))
    return np.clip(value[..., None] * floats(colour), 0, 1).astype(np.float32)


def tiles(rng: Random, colour: Colour) -> Floats:
    """Floor tiles with darker joints, [256, 256, 3]."""
    plain = laminate(rng, colour)
    joint = (np.arange(256) % 128 < 4)[:, None] | (np.arange(256) % 128 < 4)[None]
    return np.where(joint[..., None], plain * floats(0.7), plain)


def board(rng: Random, width: int, height: int, colour: Colour) -> Image.Image:
    """A circuit board: traces, vias, small parts, white print."""
    picture = blank(width, height, colour)
    draw = ImageDraw.Draw(picture)
    trace = ink(dimmed(colour, 1.5))
    for _ in range(width * height // 900):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        long = int(rng.integers(10, 60))
        bend = int(rng.choice([-12, 12]))
        draw.line([(x, y), (x + long, y), (x + long + 12, y + bend)], fill=trace)
    parts: list[Colour] = [(0.1, 0.1, 0.1), (0.7, 0.65, 0.55), (0.75, 0.75, 0.75), (0.4, 0.3, 0.2)]
    for _ in range(width * height // 300):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = (int(value) for value in rng.integers(2, 10, 2))
        draw.rectangle([x, y, x + w, y + h], fill=ink(parts[int(rng.integers(len(parts)))]))
    for _ in range(width * height // 1500):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        draw.rectangle([x, y, x + 8, y + 1], fill=(200, 205, 200))
    return picture


def landscape(rng: Random, width: int = 320, height: int = 200) -> Image.Image:
    """A wallpaper: sky, hills and a sun, in one of several moods."""
    moods: list[tuple[Colour, Colour, Colour]] = [
        ((0.15, 0.4, 0.85), (0.7, 0.85, 1.0), (0.25, 0.6, 0.15)),
        ((0.1, 0.05, 0.25), (1.0, 0.5, 0.25), (0.1, 0.08, 0.15)),
        ((0.0, 0.25, 0.45), (0.1, 0.65, 0.8), (0.0, 0.15, 0.3)),
        ((0.35, 0.05, 0.1), (0.95, 0.35, 0.2), (0.25, 0.05, 0.1)),
        ((0.5, 0.7, 0.9), (0.9, 0.9, 0.85), (0.5, 0.4, 0.3)),
    ]
    upper, lower, hill = (floats(part) for part in moods[int(rng.integers(len(moods)))])
    y = np.linspace(0, 1, height)[:, None, None]
    picture = np.broadcast_to(upper * (1 - y) + lower * y, (height, width, 3)).copy()
    x = np.linspace(0, 6, width)
    for layer in range(3):
        phase, pace = rng.uniform(0, 6), rng.uniform(0.6, 1.6)
        ridge = 0.55 + 0.14 * layer + 0.1 * np.sin(x * pace + phase) + 0.03 * np.sin(x * 5 + phase)
        below = (y[..., 0] > ridge[None])[..., None]
        picture = np.where(
            below, hill * (0.6 + 0.25 * layer) + lower * (0.25 - 0.1 * layer), picture
        )
    sun = Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8))
    place = int(rng.integers(20, width - 60))
    ImageDraw.Draw(sun).ellipse([place, 20, place + 36, 56], fill=(255, 240, 200))
    return sun


def desktop(rng: Random) -> Floats:
    """A screen: a wallpaper with a task bar, icons and sometimes an open window."""
    picture = landscape(rng)
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    draw.rectangle([0, height - 12, width, height], fill=(30, 34, 44))
    for row in range(int(rng.integers(2, 6))):
        draw.rectangle([8, 8 + row * 26, 24, 24 + row * 26], fill=(235, 235, 240))
    if rng.random() < 0.4:
        x, y = int(rng.integers(50, 110)), int(rng.integers(15, 40))
        draw.rectangle([x, y, x + 180, y + 120], fill=(245, 246, 248))
        draw.rectangle([x, y, x + 180, y + 12], fill=(70, 110, 180))
        for line in range(8):
            long = int(rng.integers(60, 150))
            draw.rectangle(
                [x + 10, y + 22 + 11 * line, x + long, y + 25 + 11 * line], fill=(120,) * 3
            )
    return texture(picture)


def fan(rng: Random, blades: Colour, rim: Colour, count: int = 11) -> Floats:
    """A fan from the front: curved blades, a hub with a badge, [192, 192, 3]."""
    side = 192
    y, x = (np.mgrid[0:side, 0:side] - side / 2 + 0.5) / (side / 2)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    sweep = (angle * count / (2 * np.pi) + 1.3 * radius + rng.random()) % 1
    light = 0.25 + 0.75 * sweep
    light[sweep < 0.12] = 0.05
    picture = light[..., None] * floats(blades)
    hub = floats(blades) * floats(0.6) + floats(0.05)
    picture = np.where((radius < 0.36)[..., None], hub, picture)
    picture = np.where((np.abs(radius - 0.33) < 0.025)[..., None], floats(rim), picture)
    picture = np.where((radius > 0.94)[..., None], floats(rim) * floats(0.5), picture)
    return np.clip(picture, 0, 1).astype(np.float32)


def label(
    rng: Random, width: int, height: int, *, paper: Colour, band: Colour, name: str
) -> Image.Image:
    """A drive's or module's sticker: a colour band with a name, fine print, a bar code."""
    picture = blank(width, height, paper)
    draw = ImageDraw.Draw(picture)
    draw.rectangle([0, 0, width, height * 0.34], fill=ink(band))
    write(draw, (width * 0.5, height * 0.17), name, height * 0.17, (1, 1, 1))
    for line in range(5):
        y = height * (0.42 + 0.07 * line)
        long = float(rng.uniform(0.3, 0.6))
        draw.rectangle([width * 0.06, y, width * long, y + height * 0.025], fill=(60, 60, 66))
    for bar in range(24):
        x = width * (0.08 + 0.022 * bar)
        if rng.random() < 0.6:
            draw.rectangle([x, height * 0.8, x + width * 0.012, height * 0.93], fill=(20, 20, 20))
    draw.rectangle([width * 0.72, height * 0.45, width * 0.93, height * 0.7], outline=(30, 30, 30))
    return picture
