"""The photos that are measured with, looked at as a decoder sees them."""

from pathlib import Path

import pytest

from bench.throughput.photos import NAMES, SIZES, chosen, generated, is_progressive, real
from shared.errors import SetupError
from worker.decode.pixels import to_pixels
from worker.decode.sniff import sniff

_PROGRESSIVE_FRAME = b"\xff\xc2"


@pytest.mark.parametrize("name", NAMES)
def test_generated_photos_have_the_pixels_and_about_the_bytes_of_their_size(
    name: str, tmp_path: Path
) -> None:
    size = next(size for size in SIZES if name.startswith(size.name))
    photos = generated(name, tmp_path, files=3)
    bodies = [(tmp_path / file).read_bytes() for file in photos.files]
    for body in bodies:
        header = sniff(body)
        assert (header.format, header.width, header.height) == ("jpeg", size.width, size.height)
        assert (_PROGRESSIVE_FRAME in body) == is_progressive(name)
        assert size.mean_bytes * 0.6 < len(body) < size.mean_bytes * 1.6
    assert size.mean_bytes <= photos.mean_bytes <= size.mean_bytes * 1.2
    assert photos.mean_bytes == sum(map(len, bodies)) / 3
    assert photos.like == size.name


def test_the_same_seed_draws_the_same_photos_and_no_two_are_alike(tmp_path: Path) -> None:
    def bodies(folder: str, seed: int) -> list[bytes]:
        photos = generated("thumbnail", tmp_path / folder, files=5, seed=seed)
        return [(photos.folder / file).read_bytes() for file in photos.files]

    first = bodies("first", 1)
    assert bodies("second", 1) == first
    assert len({*first, *bodies("third", 2)}) == 10


def test_a_generated_photo_is_neither_flat_nor_noise(tmp_path: Path) -> None:
    photos = generated("mid", tmp_path, files=1)
    pixels = to_pixels(
        (photos.folder / photos.files[0]).read_bytes(),
        width=32,
        height=32,
        max_photo_pixels=10**6,
        min_photo_elements=1,
    ).astype(int)
    neighbours = abs(pixels[1:] - pixels[:-1]).mean()
    assert pixels.std() > 15
    assert neighbours < pixels.std()


def test_every_path_is_asked_for_once_and_every_file_as_often(tmp_path: Path) -> None:
    photos = generated("thumbnail", tmp_path, files=4)
    paths = photos.paths(10)
    assert len(set(paths)) == 10
    assert [path.partition("?")[0] for path in paths] == [f"/{n % 4}" for n in range(10)]


def test_real_photos_are_measured_like_the_generated_ones_that_are_nearest(tmp_path: Path) -> None:
    (tmp_path / "small.jpg").write_bytes(bytes(2000))
    (tmp_path / "note.txt").write_text("no photo")
    assert (real(tmp_path).files, real(tmp_path).like) == ((Path("small.jpg"),), "thumbnail")
    (tmp_path / "big.png").write_bytes(bytes(1 << 21))
    assert real(tmp_path).like == "large"


def test_a_size_that_does_not_exist_is_named() -> None:
    assert chosen("mid, large-progressive") == ["mid", "large-progressive"]
    with pytest.raises(SetupError, match="huge"):
        chosen("mid,huge")
