"""The model that ships: the same scores whenever, in whatever batch, from whatever thread."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.errors import ArtifactError
from shared.settings import DEFAULT_MODEL
from worker.model.artifact import Artifact, load
from worker.model.tagger import INVOCATION_PHOTOS, Tagger


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load(DEFAULT_MODEL)


@pytest.fixture(scope="module")
def tagger(artifact: Artifact) -> Tagger:
    return Tagger(artifact)


@pytest.fixture(scope="module")
def pixels(artifact: Artifact) -> NDArray[np.uint8]:
    size = artifact.manifest.input
    shape = (3 * INVOCATION_PHOTOS + 5, size.height, size.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_every_photo_gets_a_score_for_every_tag(
    tagger: Tagger, artifact: Artifact, pixels: NDArray[np.uint8]
) -> None:
    scores = tagger.scores(pixels)
    assert scores.shape == (len(pixels), len(artifact.vocabulary))
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()


def test_the_same_photos_get_the_same_scores(
    tagger: Tagger, artifact: Artifact, pixels: NDArray[np.uint8]
) -> None:
    first = tagger.scores(pixels)
    assert np.array_equal(first, tagger.scores(pixels))
    assert np.array_equal(first, Tagger(artifact).scores(pixels))


def test_a_photos_scores_do_not_depend_on_its_batch_mates(
    tagger: Tagger, pixels: NDArray[np.uint8]
) -> None:
    together = tagger.scores(pixels)
    alone = np.concatenate([tagger.scores(pixels[row : row + 1]) for row in range(len(pixels))])
    assert np.array_equal(together, alone)
    assert np.array_equal(together[::-1], tagger.scores(pixels[::-1]))


def test_scores_given_out_are_not_overwritten_by_the_next_batch(
    tagger: Tagger, pixels: NDArray[np.uint8]
) -> None:
    first = tagger.scores(pixels[:2])
    kept = first.copy()
    tagger.scores(pixels[2:4])
    assert np.array_equal(first, kept)


def test_threads_may_share_a_tagger(tagger: Tagger, pixels: NDArray[np.uint8]) -> None:
    expected = tagger.scores(pixels)
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(tagger.scores, [pixels] * 32):
            assert np.array_equal(found, expected)


def test_no_photos_get_no_scores(tagger: Tagger, pixels: NDArray[np.uint8]) -> None:
    assert tagger.scores(pixels[:0]).shape == (0, len(tagger.scores(pixels[:1])[0]))


def test_pixels_of_another_shape_or_type_are_refused(
    tagger: Tagger, pixels: NDArray[np.uint8]
) -> None:
    with pytest.raises(ValueError, match="not uint8"):
        tagger.scores(pixels[:, :-1])
    with pytest.raises(ValueError, match="not uint8"):
        tagger.scores(pixels.astype(np.float32))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("model", [b"", b"no model at all", b"\0" * 1000])
def test_bytes_that_are_no_model_are_refused(artifact: Artifact, model: bytes) -> None:
    with pytest.raises(ArtifactError, match="not a usable LiteRT model"):
        Tagger(replace(artifact, model=model))


def test_a_model_for_other_tags_is_refused(artifact: Artifact) -> None:
    size, tags = artifact.manifest.input, len(artifact.vocabulary)
    with pytest.raises(ArtifactError, match=f"{tags + 1} tags"):
        Tagger.of_model(artifact.model, height=size.height, width=size.width, tags=tags + 1)


def test_a_model_for_photos_of_another_size_is_refused(artifact: Artifact) -> None:
    with pytest.raises(ArtifactError):
        Tagger.of_model(artifact.model, height=64, width=64, tags=len(artifact.vocabulary))


def test_serving_does_not_load_tensorflow() -> None:
    program = (
        "import sys, worker.model.tagger; "
        "sys.exit(any(name.split('.')[0] in {'tensorflow', 'keras'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
