"""A tiny labelled data set of drawn shapes, in the form of the real ones."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "plain")


def write_shapes(folder: Path, photos: int, seed: int = 0) -> Path:
    """Circles and squares carry their tag and `shapes`; plain photos carry nothing."""
    random = np.random.default_rng(seed)
    (folder / "photos").mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for number in range(photos):
        shape = SHAPES[number % 3]
        name = f"photos/{number:04}.jpg"
        _draw(shape, random).save(folder / name, quality=90)
        rows.append(row(name, product=f"product{number // 2}-{shape}", shape=shape))
    write_rows(folder, rows)
    return folder


def row(photo: str, *, product: str = "p", shape: str = "circle") -> dict[str, Any]:
    """One row of `labels.jsonl.gz`."""
    tagged = shape != "plain"
    return {
        "photo": photo,
        "product": product,
        "tags": ["shapes", f"{shape}s"] if tagged else [],
        "paths": [["Electronics", "Shapes", f"{shape.title()}s"]] if tagged else [],
        "source": "catalogue",
        "set": "drawn",
        "width": 60,
        "height": 60,
    }


def write_rows(folder: Path, rows: Sequence[dict[str, Any] | str]) -> None:
    """Writes the labels; text is written as the line it is."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    with gzip.open(folder / "labels.jsonl.gz", "wt") as file:
        file.writelines(f"{line}\n" for line in lines)


def _draw(shape: str, random: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (60, 60), _colour(random, 160, 256))
    x, y, size = (int(value) for value in random.integers([5, 5, 30], [20, 20, 36]))
    draw = ImageDraw.Draw(image)
    box = (x, y, x + size, y + size)
    if shape == "circle":
        draw.ellipse(box, fill=_colour(random, 0, 90))
    elif shape == "square":
        draw.rectangle(box, outline=_colour(random, 0, 90), width=4)
    else:
        draw.line((0, 50, 60, 50), "white", width=2)  # a table's edge: a blank picture is refused
    return image


def _colour(random: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(low, high, 3))
    return red, green, blue
