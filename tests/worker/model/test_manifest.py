"""What the manifest's entries refer to is really there."""

from worker.decode.pixels import BGR_BILINEAR, RGB_AREA
from worker.model.manifest import KNOWN_PREPROCESSING, version_of


def test_the_ways_of_making_pixels_that_this_code_has_are_the_known_ones() -> None:
    # Two places, because reading a manifest must not load OpenCV.
    assert {RGB_AREA, BGR_BILINEAR} == KNOWN_PREPROCESSING


def test_a_version_is_a_name_and_twelve_digits_of_the_hash() -> None:
    assert version_of("vanilla", "0123456789abcdef" * 4) == "vanilla-0123456789ab"
