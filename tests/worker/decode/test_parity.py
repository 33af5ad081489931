"""The short cuts of decoding leave a photo's tags as they are, by the model that ships.

A model's decision on a score near its threshold hangs on single levels of single pixels, so what
is held equal is decisions, one for each tag of each photo, and not all tags of a photo at once.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dev.listings import photo_files
from shared.settings import DEFAULT_MODEL
from worker.decode.excerpt import needed
from worker.decode.pixels import decode, reduction, shrink, to_pixels
from worker.decode.sniff import sniff
from worker.model.artifact import Artifact, load
from worker.model.tagger import Tagger

Pixels = NDArray[np.uint8]

#: Sides of square photos -> what a model of 48 pixels decodes them at.
SCALES = {300: 2, 500: 4, 800: 8}


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load(DEFAULT_MODEL)


@pytest.fixture(scope="module")
def tagger(artifact: Artifact) -> Tagger:
    return Tagger(artifact)


@pytest.fixture(scope="module")
def pictures(photo_folder: Path) -> list[Image.Image]:
    """The rendered photos, as they are and mirrored."""
    opened = [Image.open(photo_folder / file.path) for file in photo_files(photo_folder)]
    plain = [picture.convert("RGB") for picture in opened]
    return plain + [picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in plain]


def encode(picture: Image.Image, side: int, *, progressive: bool) -> bytes:
    file = io.BytesIO()
    square = picture.resize((side, side), Image.Resampling.LANCZOS)
    square.save(file, "JPEG", quality=85, progressive=progressive)
    return file.getvalue()


def served(body: bytes, artifact: Artifact) -> Pixels:
    size = artifact.manifest.input
    return to_pixels(
        body,
        width=size.width,
        height=size.height,
        max_photo_pixels=10**6,
        min_photo_elements=0,
    )


def full(body: bytes, artifact: Artifact) -> Pixels:
    """Decoded at its full size, out of all of its bytes."""
    header, size = sniff(body), artifact.manifest.input
    return shrink(decode(body, header, 1), header, width=size.width, height=size.height)


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("side", SCALES)
def test_tags_are_those_of_a_full_decode(
    side: int,
    progressive: bool,
    pictures: list[Image.Image],
    artifact: Artifact,
    tagger: Tagger,
) -> None:
    bodies = [encode(picture, side, progressive=progressive) for picture in pictures]
    size = artifact.manifest.input
    for body in bodies:
        header = sniff(body)
        scale = reduction(header, width=size.width, height=size.height)
        assert scale == SCALES[side]
        shortened = len(needed(body, header, scale)) < len(body)
        assert shortened == (progressive and scale >= 4)
    short, whole = (np.stack([way(body, artifact) for body in bodies]) for way in (served, full))
    assert np.abs(short.astype(int) - whole).mean() < 1
    scores, expected = tagger.scores(short), tagger.scores(whole)
    difference = np.abs(scores - expected)
    assert np.median(difference) <= 0.02
    assert difference.mean() <= 0.005
    tags, right = scores >= artifact.thresholds, expected >= artifact.thresholds
    assert (tags == right).mean() >= 0.99
    # Most decisions are that a tag is not there. Of those that are, nearly all stay as well.
    assert (tags & right).sum() >= 0.95 * (tags | right).sum()
    assert right.any(axis=0).sum() >= 5
