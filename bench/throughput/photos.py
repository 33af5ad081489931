"""The photos that are measured: generated ones in three sizes, or a folder of real ones.

A JPEG decoder's time hangs on pixels and on bytes, so generated photos hit both. What they show
is smooth noise in several octaves, a few shapes and a camera's grain: the mix of flat and busy
blocks that photos have, where plain noise or plain colour would be no photo to a decoder.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dev.listings import photo_files
from shared.errors import SetupError

#: Cells along the longer side, and how far they reach (0 to 255), from coarse to fine.
_OCTAVES: Final = ((3, 60), (9, 25), (30, 12), (90, 6))
_SHAPES: Final = 12
#: The quality that hits the bytes is looked for on so many photos, then used for all.
_WEIGHED: Final = 3
REAL: Final = "real"


@dataclass(frozen=True, slots=True)
class Size:
    """One kind of generated photo."""

    name: str
    width: int  #: pixels
    height: int  #: pixels
    mean_bytes: int  #: what a photo has, about
    grain: float  #: standard deviation of a pixel, 0 to 255
    distinct: int  #: files; each is asked for many times, by URLs of its own


SIZES: Final = (
    Size("thumbnail", 40, 40, 1_200, grain=4, distinct=400),
    Size("mid", 500, 500, 50_000, grain=6, distinct=100),
    Size("large", 3000, 2000, 1_100_000, grain=6, distinct=10),
)
_PROGRESSIVE: Final = "-progressive"
NAMES: Final = (*(size.name for size in SIZES), *(f"{size.name}{_PROGRESSIVE}" for size in SIZES))


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """Files of one kind, in one folder."""

    name: str
    folder: Path
    files: tuple[Path, ...]  #: below the folder
    mean_bytes: float
    like: str  #: the generated size that comes nearest

    def paths(self, count: int) -> list[str]:
        """So many different paths below an origin: each file in turn, under ever new queries."""
        files = len(self.files)
        return [f"/{place % files}?copy={place // files}" for place in range(count)]


def generated(name: str, folder: Path, *, files: int | None = None, seed: int = 0) -> PhotoSet:
    """Draws the photos of one of `NAMES` into a folder; the same seed draws the same ones.

    Args:
        name: which ones.
        folder: where they go; made if it is not there.
        files: how many; as many as measuring takes by default.
        seed: of all that is random in them.
    """
    size = next(size for size in SIZES if size.name == name.removesuffix(_PROGRESSIVE))
    count = files or size.distinct
    progressive = is_progressive(name)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = _pictures(size, seed)
    weighed = list(itertools.islice(pictures, _WEIGHED))
    quality = _quality(weighed, size, progressive=progressive)
    total = 0
    for place, picture in enumerate(itertools.islice(itertools.chain(weighed, pictures), count)):
        body = _encode(picture, quality, progressive=progressive)
        (folder / f"{place}.jpg").write_bytes(body)
        total += len(body)
    paths = tuple(Path(f"{place}.jpg") for place in range(count))
    return PhotoSet(name, folder, paths, total / count, size.name)


def real(folder: Path) -> PhotoSet:
    """The photos of a folder.

    Raises:
        SetupError: there is no such folder, or no photo in it.
    """
    files = tuple(photo.path for photo in photo_files(folder))
    mean = sum((folder / file).stat().st_size for file in files) / len(files)
    nearest = min(SIZES, key=lambda size: abs(np.log(size.mean_bytes / mean)))
    return PhotoSet(REAL, folder, files, mean, nearest.name)


def chosen(names: str) -> list[str]:
    """Names of generated sets out of a comma-separated list.

    Raises:
        SetupError: one of them is unknown.
    """
    asked = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := set(asked) - set(NAMES):
        raise SetupError(f"no size is called {', '.join(sorted(unknown))}; {', '.join(NAMES)}")
    return asked


def is_progressive(name: str) -> bool:
    """Whether a set of this name is encoded progressively."""
    return name.endswith(_PROGRESSIVE)


def _quality(weighed: Sequence[NDArray[np.uint8]], size: Size, *, progressive: bool) -> int:
    """The lowest JPEG quality at which photos are at least as heavy as asked for."""

    def heavy(quality: int) -> bool:
        bodies = [_encode(picture, quality, progressive=progressive) for picture in weighed]
        return sum(map(len, bodies)) >= size.mean_bytes * len(weighed)

    return _first(heavy, 30, 98)


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _pictures(size: Size, seed: int) -> Iterator[NDArray[np.uint8]]:
    for place in itertools.count():
        yield _picture(np.random.default_rng([seed, place, size.width]), size)


def _picture(rng: np.random.Generator, size: Size) -> NDArray[np.uint8]:
    width, height = size.width, size.height
    canvas: NDArray[np.float32] = rng.uniform(90, 165, (2, 2, 3)).astype(np.float32)
    for cells, reach in _OCTAVES:
        rows, columns = max(2, min(height, cells * height // width)), min(width, cells)
        canvas = _grown(canvas, columns, rows)
        # Bright and dark differ more than colours do, as they do in photos.
        canvas += reach * rng.standard_normal((rows, columns, 1), np.float32)
        canvas += reach / 4 * rng.standard_normal((rows, columns, 3), np.float32)
    canvas = _grown(canvas, width, height)
    for _ in range(_SHAPES):
        left, top = (int(value) for value in rng.integers(0, (width, height)))
        across, down = (int(value) for value in rng.integers(width // 20, width // 4, 2))
        colour = [float(value) for value in rng.uniform(20, 235, 3)]
        if rng.random() < 0.5:
            angle = float(rng.uniform(0, 180))
            cv2.ellipse(canvas, (left, top), (across, down), angle, 0, 360, colour, cv2.FILLED)
        else:
            cv2.rectangle(canvas, (left, top), (left + across, top + down), colour, cv2.FILLED)
    canvas += size.grain * rng.standard_normal((height, width, 1), np.float32)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _grown(canvas: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    grown = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_CUBIC)
    return grown.astype(np.float32, copy=False)


def _encode(picture: NDArray[np.uint8], quality: int, *, progressive: bool) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)]
    return cv2.imencode(".jpg", picture, options)[1].tobytes()
