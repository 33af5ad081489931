"""Writes an Amazon-like catalogue with reviews, of any size, with the published files' dirt."""

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Photo URLs of a product on average: 7 in the catalogue, 3 of users.
URLS_PER_PRODUCT = 10
_DEPARTMENTS = (
    "Camera & Photo",
    "Computers & Accessories",
    "Headphones",
    "Portable Audio & Video",
    "Television & Video",
    "Car & Vehicle Electronics",
)
_HOST = "https://images-na.ssl-images-amazon.com/images/I/"


@dataclass(frozen=True, slots=True)
class CatalogueFiles:
    """What was written."""

    metadata: Path
    reviews: Path
    urls: int
    rows: int


def write_catalogue(folder: Path, urls: int, seed: int = 0) -> CatalogueFiles:
    """Writes metadata and reviews in the form of 2018 with about `urls` photo URLs, gzip.

    Some 2 % of the rows are dirty: broken lines, repeated rows, stringified, empty and HTML
    categories, GIFs, thumbnails of videos, reviews of unknown products.
    """
    numbers = random.Random(seed)  # noqa: S311  # sample data, no secret
    products = max(urls // URLS_PER_PRODUCT, 1)
    metadata, reviews = folder / "meta_Bench.json.gz", folder / "Bench_5.json.gz"
    rows, written = 0, 0
    with (
        gzip.open(metadata, "wt", compresslevel=1) as meta_lines,
        gzip.open(reviews, "wt", compresslevel=1) as review_lines,
    ):
        for product in range(products):
            photos = numbers.randint(4, 10)
            for line in _metadata(product, photos, numbers):
                meta_lines.write(line)
                rows += 1
            for shown in _reviews(numbers):
                owner = f"U{product:09d}" if numbers.random() < 0.005 else _asin(product)
                review_lines.write(_review(owner, shown, numbers))
                written += shown
                rows += 1
            written += photos
    return CatalogueFiles(metadata, reviews, written, rows)


def _asin(product: int) -> str:
    return f"B{product:09d}"


def _metadata(product: int, photos: int, numbers: random.Random) -> Iterator[str]:
    department = numbers.choice(_DEPARTMENTS)
    category: object = [
        "Electronics",
        department,
        f"{department} kind {numbers.randrange(40)}",
        f"Bags, Cases & Sleeves {numbers.randrange(30)}",
    ]
    urls = [
        f"{_HOST}{numbers.getrandbits(60):015x}._SX38_SY50_CR,0,0,38,50_.jpg" for _ in range(photos)
    ]
    dirt = numbers.random()
    if dirt < 0.002:
        category = str(category)
    elif dirt < 0.004:
        category = []
    elif dirt < 0.006:
        category = ["Electronics", department, "</span></span></span>", department]
    elif dirt < 0.010:
        urls[-1] = f"{_HOST}{numbers.getrandbits(60):015x}.gif"
    elif dirt < 0.014:
        urls[-1] = f"{urls[-1].removesuffix('.jpg')}PKdp-play-icon-overlay__.jpg"
    row = {
        "asin": _asin(product),
        "category": category,
        "title": f"Product {product}",
        "description": ["What it is and what it does. " * numbers.randint(2, 12)],
        "imageURL": urls,
    }
    line = json.dumps(row) + "\n"
    yield line
    if 0.014 <= dirt < 0.018:
        yield line
    elif dirt < 0.019:
        yield line[: len(line) // 2] + "\n"


def _reviews(numbers: random.Random) -> Iterator[int]:
    """The numbers of photos in a product's reviews; most have none."""
    left = 3
    while left:
        shown = numbers.choice((0, 0, 1, 2))
        shown = min(shown, left)
        left -= shown
        yield shown


def _review(asin: str, photos: int, numbers: random.Random) -> str:
    row: dict[str, object] = {"asin": asin, "overall": 5.0, "reviewText": "Does what it says. " * 5}
    if photos:
        row["image"] = [f"{_HOST}{numbers.getrandbits(60):015x}._SY88.jpg" for _ in range(photos)]
    return json.dumps(row) + "\n"
