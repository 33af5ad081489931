"""Pixels are made once and kept; what is killed goes on; what cannot be read is counted."""

import json
import os
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.errors import DatasetError
from tests.worker.training.shapes import row, write_rows, write_shapes
from worker.dataset import store as store_module
from worker.dataset.labelled import Dataset, read_dataset
from worker.dataset.store import pixel_store
from worker.decode.pixels import to_pixels


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(store_module, "CHUNK_PHOTOS", 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten photos, two of them unreadable."""
    folder = write_shapes(tmp_path / "data", 10)
    (folder / "photos/0001.jpg").write_bytes(b"<html>404</html>")
    (folder / "photos/0006.jpg").unlink()
    return folder


def _store(
    dataset: Dataset, work: Path | None, side: int = 20
) -> tuple[Dataset, NDArray[np.uint8]]:
    return pixel_store(
        dataset, work, height=side, width=side, max_photo_pixels=10**6, min_photo_elements=1000
    )


def _names(dataset: Dataset) -> list[str]:
    return [photo.photo[-8:-4] for photo in dataset.photos]


READABLE = ["0000", "0002", "0003", "0004", "0005", "0007", "0008", "0009"]


@pytest.mark.parametrize("on_disk", [True, False])
def test_each_row_has_the_pixels_that_service_would_see(
    folder: Path, tmp_path: Path, on_disk: bool
) -> None:
    dataset, pixels = _store(read_dataset(folder), tmp_path / "work" if on_disk else None)
    assert _names(dataset) == READABLE
    assert dataset.rejected == {"not_an_image": 1, "missing_photo": 1}
    assert len(dataset.complaints) == 2
    assert isinstance(pixels, np.memmap) == on_disk
    assert pixels.shape == (8, 20, 20, 3)
    for photo, its_pixels in zip(dataset.photos, pixels, strict=True):
        served = to_pixels(
            dataset.body(photo), width=20, height=20, max_photo_pixels=10**6, min_photo_elements=0
        )
        assert np.array_equal(its_pixels, served)


def test_pixels_that_are_there_are_not_made_again(folder: Path, tmp_path: Path) -> None:
    before, pixels = _store(read_dataset(folder), tmp_path / "work")
    file = next((tmp_path / "work").glob("*/pixels.npy"))
    written_at = file.stat().st_mtime_ns
    after, again = _store(read_dataset(folder), tmp_path / "work")
    assert file.stat().st_mtime_ns == written_at
    assert (after.photos, after.rejected, after.complaints) == (
        before.photos,
        before.rejected,
        before.complaints,
    )
    assert np.array_equal(again, pixels)


def test_pixels_on_disk_cannot_be_changed_by_mistake(folder: Path, tmp_path: Path) -> None:
    _, pixels = _store(read_dataset(folder), tmp_path / "work")
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0


@pytest.mark.parametrize("lines_left", [0, 1, 2])
@pytest.mark.parametrize("torn", [b"", b'{"first": 4, "en'])
def test_a_killed_store_goes_on_after_its_last_finished_chunk(
    folder: Path, tmp_path: Path, lines_left: int, torn: bytes
) -> None:
    _, expected = _store(read_dataset(folder), None)
    _store(read_dataset(folder), tmp_path / "work")
    log = next((tmp_path / "work").glob("*/chunks.jsonl"))
    lines = log.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    log.write_bytes(b"".join(lines[:lines_left]) + torn)
    # What the log does not vouch for may hold anything.
    done = 4 * lines_left - sum(len(json.loads(line)["unreadable"]) for line in lines[:lines_left])
    np.lib.format.open_memmap(log.with_name("pixels.npy"), mode="r+")[done:] = 99
    dataset, pixels = _store(read_dataset(folder), tmp_path / "work")
    assert _names(dataset) == READABLE
    assert np.array_equal(pixels, expected)


def test_another_size_other_photos_or_changed_bytes_are_kept_apart(
    folder: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    dataset = read_dataset(folder)
    _store(dataset, work)
    _store(dataset, work, side=16)
    _store(replace(dataset, photos=dataset.photos[::-1]), work)
    assert len(list(work.iterdir())) == 3
    (folder / "photos/0001.jpg").write_bytes((folder / "photos/0000.jpg").read_bytes())
    after, pixels = _store(read_dataset(folder), work)
    assert len(list(work.iterdir())) == 4
    assert np.array_equal(pixels[0], pixels[1])
    assert after.rejected == {"missing_photo": 1}


def test_what_never_ends_or_is_too_large_for_a_photo_is_counted_and_not_read(
    folder: Path,
) -> None:
    os.mkfifo(folder / "photos/0006.jpg")
    (folder / "photos/0007.jpg").unlink()
    (folder / "photos/0007.jpg").symlink_to("/dev/zero")
    os.truncate(folder / "photos/0008.jpg", 1 << 40)
    dataset, _ = _store(read_dataset(folder), None)
    assert dataset.rejected == {"not_an_image": 1, "missing_photo": 2, "too_large": 1}
    assert dataset.complaints[1] == "photos/0006.jpg: not a plain file"
    assert _names(dataset) == [*READABLE[:5], "0009"]


def test_no_readable_photo_is_an_error(tmp_path: Path) -> None:
    write_rows(tmp_path, [row("a.jpg")])
    with pytest.raises(DatasetError, match="no readable photo"):
        _store(read_dataset(tmp_path), None)


def test_more_pixels_than_fit_in_memory_are_refused_unless_they_may_go_to_disk(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_PIXELS_MB", 0.01)
    with pytest.raises(DatasetError, match="MB of pixels"):
        _store(read_dataset(folder), None)
    assert len(_store(read_dataset(folder), tmp_path / "work")[1]) == 8


def test_a_folder_that_cannot_be_written_is_one_clear_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file")
    with pytest.raises(DatasetError, match="work"):
        _store(read_dataset(folder), tmp_path / "work")


def test_a_disk_without_room_is_refused_before_a_photo_is_read(
    folder: Path, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(DatasetError, match="no 12 MB"):
            _store(read_dataset(folder), tmp_path / "work", side=640)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "work").glob("*/pixels.npy"))


def test_a_damaged_file_is_one_clear_error(folder: Path, tmp_path: Path) -> None:
    _store(read_dataset(folder), tmp_path / "work")
    next((tmp_path / "work").glob("*/pixels.npy")).write_bytes(b"no array")
    with pytest.raises(DatasetError, match="is damaged"):
        _store(read_dataset(folder), tmp_path / "work")
