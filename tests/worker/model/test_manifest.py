"""What the manifest's entries refer to is really there."""

from worker.decode.pixels import PREPROCESSING
from worker.model.manifest import KNOWN_PREPROCESSING, version_of


def test_the_preprocessing_of_this_code_is_the_known_one() -> None:
    # Two places, because reading a manifest must not load OpenCV.
    assert {PREPROCESSING} == KNOWN_PREPROCESSING


def test_a_version_is_a_name_and_twelve_digits_of_the_hash() -> None:
    assert version_of("vanilla", "0123456789abcdef" * 4) == "vanilla-0123456789ab"
