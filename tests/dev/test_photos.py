"""The sample photos: deterministic, varied, readable by anyone, truthfully described."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dev.photos import INDEX_NAME, SamplePhoto, render_all
from dev.studio.catalogue import KINDS

COUNT = 8

VOCABULARY = {
    "accessories",
    "accessories & supplies",
    "audio & video accessories",
    "bags",
    "cables & interconnects",
    "camera & photo",
    "cases & sleeves",
    "computer accessories & peripherals",
    "computer components",
    "computers & accessories",
    "headphones",
    "laptop accessories",
    "portable audio & video",
    "tablet accessories",
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[SamplePhoto]:
    return render_all(tmp_path_factory.mktemp("photos"), count=COUNT, seed=3, processes=1)


def pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with Image.open(path) as photo:
        return np.asarray(photo.convert("RGB"), np.float32)


def test_every_photo_decodes_and_has_the_size_it_claims(photos: list[SamplePhoto]) -> None:
    for photo in photos:
        with Image.open(photo.path) as image:
            image.load()
            assert sorted(image.size) == sorted((photo.width, photo.height))


def test_sizes_vary(photos: list[SamplePhoto]) -> None:
    assert len({(photo.width, photo.height) for photo in photos}) >= 3


def test_a_photo_shows_something(photos: list[SamplePhoto]) -> None:
    assert all(pixels(photo.path).std() > 10 for photo in photos)


def test_the_same_seed_gives_the_same_pictures(photos: list[SamplePhoto], tmp_path: Path) -> None:
    again = render_all(tmp_path, count=2, seed=3, processes=2)
    for before, after in zip(photos, again, strict=False):
        assert before.title == after.title
        difference = np.abs(pixels(before.path) - pixels(after.path))
        assert difference.mean() < 1  # grey levels: processors may round differently


def test_another_seed_gives_other_pictures(photos: list[SamplePhoto], tmp_path: Path) -> None:
    (other,) = render_all(tmp_path, count=1, seed=4, processes=1)
    assert other.path.read_bytes() != photos[0].path.read_bytes()


def test_the_index_describes_every_photo(photos: list[SamplePhoto]) -> None:
    folder = photos[0].path.parent
    index = json.loads((folder / INDEX_NAME).read_text())
    assert [(folder / entry["path"]).is_file() for entry in index] == [True] * COUNT
    assert [entry["tags"] for entry in index] == [list(photo.tags) for photo in photos]


def test_progress_is_told_photo_by_photo(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    render_all(tmp_path, count=2, processes=1, on_done=lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]


def test_there_are_many_kinds_and_their_tags_are_in_the_vocabulary() -> None:
    assert len(KINDS) >= 10
    assert all(kind.tags and set(kind.tags) <= VOCABULARY for kind in KINDS)
