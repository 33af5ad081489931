"""How surely a photo is found again after it was changed, and how often another is taken for it.

    scripts/bench reuse --data DIR

Every photo of a labelled data set is looked at as workers look at it. Copies are made as sites and
people make them; each must be found by its hash. A match between products that are not one is
false: data sets join near-duplicates in one product.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from bench.command import main
from bench.findings import tell
from bench.sections import Section
from shared.domain import likeness
from shared.errors import DatasetError
from shared.settings import DEFAULT_MODEL
from worker.dataset.labelled import LabelledPhoto, read_dataset
from worker.decode import pixels
from worker.decode.phash import phashes
from worker.judging.labelled_scores import MAX_PHOTO_PIXELS, MIN_PHOTO_ELEMENTS
from worker.model.artifact import load
from worker.model.manifest import Manifest

Picture = NDArray[np.uint8]
FOLDER: Final = Path(".tagger/bench/reuse")


def _resized(picture: Picture, factor: float) -> Picture:
    return np.asarray(
        cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8
    )


def _cropped(picture: Picture, share: float) -> Picture:
    down, across = (round(side * share) for side in picture.shape[:2])
    return picture[down : picture.shape[0] - down, across : picture.shape[1] - across]


def _framed(picture: Picture) -> Picture:
    edge = max(1, picture.shape[0] // 20)
    return np.asarray(
        cv2.copyMakeBorder(picture, edge, edge, edge, edge, cv2.BORDER_CONSTANT), np.uint8
    )


#: What is done to a picture, and the JPEG quality it is written with.
_COPIES: Final[dict[str, tuple[Callable[[Picture], Picture], int]]] = {
    "the same bytes decoded again": (lambda picture: picture, 95),
    "half the size": (lambda picture: _resized(picture, 0.5), 90),
    "JPEG quality 50": (lambda picture: picture, 50),
    "a fifth darker": (lambda picture: (picture * 0.8).astype(np.uint8), 90),
    "grey": (
        lambda picture: cv2.cvtColor(
            cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR
        ).astype(np.uint8),
        90,
    ),
    "1 % cut off each side": (lambda picture: _cropped(picture, 0.01), 90),
    "5 % cut off each side": (lambda picture: _cropped(picture, 0.05), 90),
    "a black frame": (_framed, 90),
    "mirrored": (lambda picture: picture[:, ::-1], 90),
}


def reuse(
    data: Annotated[Path, typer.Option(help="A labelled data set.")],
    copies: Annotated[int, typer.Option(min=1, help="So many photos are copied.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Chooses them.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the JSON goes.")] = FOLDER,
) -> None:
    """Count found copies and false matches of the perceptual hash."""
    pixels.configure()
    dataset = read_dataset(data)
    manifest = load(DEFAULT_MODEL).manifest
    seen = [(photo, _hash(dataset.body(photo), manifest)) for photo in dataset.photos]
    hashed: list[tuple[LabelledPhoto, int]] = [
        (photo, phash) for photo, phash in seen if phash is not None
    ]
    chosen = np.random.default_rng(seed).choice(
        len(hashed), min(copies, len(hashed)), replace=False
    )
    found = dict.fromkeys(_COPIES, 0)
    places: list[int] = chosen.tolist()
    for photo, original in map(hashed.__getitem__, places):
        encoded = np.frombuffer(dataset.body(photo), np.uint8)
        picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        if picture is None:
            raise DatasetError(f"{photo.photo} cannot be decoded")
        for name, (change, quality) in _COPIES.items():
            written = cv2.imencode(
                ".jpg", change(np.asarray(picture, np.uint8)), [cv2.IMWRITE_JPEG_QUALITY, quality]
            )[1]
            found[name] += _alike(original, _hash(written.tobytes(), manifest))
    false = _false_matches(hashed)
    facts = {
        "photos": len(seen),
        "without_a_hash": len(seen) - len(hashed),
        "copied": len(chosen),
        "found": found,
        "falsely_matched": len(false),
    }
    rows = [[name, f"{count / len(chosen):.1%}"] for name, count in found.items()]
    rows.append(["another product's photo", f"{len(false) / len(hashed):.2%}"])
    section = Section(
        "Photos found again",
        f"{len(chosen):,} photos of {len(hashed):,}; at most {likeness.CUTOFF} of "
        f"{likeness.BITS} bits differ.",
        ["what was done to it", "taken for the same"],
        rows,
    )
    tell(Console(), [section], facts, out / "reuse.json")


def _hash(body: bytes, manifest: Manifest) -> int | None:
    seen = pixels.to_pixels(
        body,
        width=manifest.input.width,
        height=manifest.input.height,
        max_photo_pixels=MAX_PHOTO_PIXELS,
        min_photo_elements=MIN_PHOTO_ELEMENTS,
        preprocessing=manifest.preprocessing,
    )
    return phashes(seen[None])[0]


def _alike(one: int, other: int | None) -> bool:
    return other is not None and (one ^ other).bit_count() <= likeness.CUTOFF


def _false_matches(hashed: list[tuple[LabelledPhoto, int]]) -> set[str]:
    """The photos that would be taken for a photo of another product, by the keys of the table."""
    by_key: dict[int, list[int]] = {}
    for row, (_, phash) in enumerate(hashed):
        for key in likeness.keys(phash):
            by_key.setdefault(key, []).append(row)
    false: set[str] = set()
    for rows in by_key.values():
        for place, one in enumerate(rows):
            for other in rows[:place]:
                (photo, phash), (earlier, its) = hashed[one], hashed[other]
                if photo.product != earlier.product and _alike(phash, its):
                    false.add(photo.photo)
    return false


if __name__ == "__main__":
    main(reuse)
