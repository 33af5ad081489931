"""What a way of decoding changes: pixels, scores and tags of real photos."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.decode.ways import FIRST_SCANS, FULL, REDUCED, WAYS
from shared.errors import DecodeError
from worker.decode.pixels import Pixels, decode, reduction
from worker.decode.sniff import sniff
from worker.model.artifact import Artifact
from worker.model.tagger import Tagger

_QUALITY: Final = 85
#: Standard deviation of the grain that an enlarged photo gets; without, it had no fine detail.
_GRAIN: Final = 5.0
#: How much a model's decisions hang on nothing: one level in this share of a photo's values.
_NOISE: Final = 0.01

PLAIN: Final = "as it is"
PROGRESSIVE: Final = "as progressive"
NOISE: Final = "noise"
#: Which file, which way, compared with which other way of the same file.
COMPARED: Final = (
    (PLAIN, REDUCED, FULL),
    (PROGRESSIVE, REDUCED, FULL),
    (PROGRESSIVE, FIRST_SCANS, FULL),
    (PROGRESSIVE, FIRST_SCANS, REDUCED),
    (PROGRESSIVE, NOISE, REDUCED),
)


@dataclass(frozen=True, slots=True)
class Parity:
    """How alike two ways are, over the photos that are decoded at one scale."""

    scale: int  #: decoded at 1/so much
    file: str
    way: str
    other: str
    photos: int
    pixels: float  #: mean absolute difference, in levels of 0..255
    equal_photos: float  #: share of photos whose tags are all the same
    equal_decisions: float  #: share of tags of photos, decided the same
    median_score: float  #: median absolute difference of a score


def parities(bodies: Iterable[bytes], artifact: Artifact, enlarge: float) -> list[Parity]:
    """Compares the ways, photo by photo; files that are no pictures are left out.

    Each photo is taken as it is, and once more encoded anew as a progressive JPEG.

    Args:
        bodies: files of photos.
        artifact: the model.
        enlarge: how many times larger photos are made first, and grainy, 1 to leave them.
    """
    side = artifact.manifest.input.width
    pixels: dict[tuple[int, str, str], list[Pixels]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for body in bodies:
        try:
            files = _files(body, enlarge, rng)
        except DecodeError:
            continue
        for file, bytes_ in files.items():
            scale = reduction(sniff(bytes_), width=side, height=side)
            for way, decoded in WAYS.items():
                pixels[scale, file, way].append(decoded(bytes_, side))
            noisy = _noisy(pixels[scale, file, REDUCED][-1], rng)
            pixels[scale, file, NOISE].append(noisy)
    tagger = Tagger(artifact)
    scores = {key: tagger.scores(np.stack(photos)) for key, photos in pixels.items()}
    found: list[Parity] = []
    for scale in sorted({key[0] for key in pixels}):
        for file, way, other in COMPARED:
            one, two = (scale, file, way), (scale, file, other)
            if one in pixels:
                alike = _alike(scores[one], scores[two], artifact.thresholds)
                changed = _difference(pixels[one], pixels[two])
                found.append(Parity(scale, file, way, other, len(pixels[one]), changed, *alike))
    return found


def _files(body: bytes, enlarge: float, rng: np.random.Generator) -> dict[str, bytes]:
    """The photo, enlarged if asked for, and its progressive twin."""
    header = sniff(body)
    picture = decode(body, header, 1)
    if enlarge != 1:
        larger = cv2.resize(picture, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_LANCZOS4)
        grain = _GRAIN * rng.standard_normal((*larger.shape[:2], 1), np.float32)
        picture = np.clip(larger.astype(np.float32) + grain, 0, 255).astype(np.uint8)
        body = _encoded(picture, progressive=False)
    return {PLAIN: body, PROGRESSIVE: _encoded(picture, progressive=True)}


def _encoded(picture: Pixels, *, progressive: bool) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)]
    return cv2.imencode(".jpg", picture, options)[1].tobytes()


def _noisy(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    hit = rng.random(pixels.shape) < _NOISE
    noise = hit * rng.choice(np.array([-1, 1]), pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def _difference(ones: Sequence[Pixels], others: Sequence[Pixels]) -> float:
    return float(np.abs(np.stack(ones).astype(int) - np.stack(others)).mean())


def _alike(
    ones: NDArray[np.float32], others: NDArray[np.float32], thresholds: NDArray[np.float32]
) -> tuple[float, float, float]:
    same = (ones >= thresholds) == (others >= thresholds)
    return float(same.all(1).mean()), float(same.mean()), float(np.median(np.abs(ones - others)))
