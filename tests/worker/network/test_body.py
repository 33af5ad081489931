"""A pre-trained body comes out of a file that is looked through first."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import SetupError

pytest.importorskip("tensorflow")

from keras import layers

from tests.worker.network.bodies import write_body
from worker.network.body import APPLICATION_FILES, application, headless_file, pooled


def test_a_body_opens_at_another_size_with_its_own_weights(tmp_path: Path) -> None:
    file = tmp_path / "body.keras"
    saved: Any = write_body(file, 32)
    body = headless_file(file, 48, 40)
    network: Any = body.network
    assert network.input_shape == (None, 48, 40, 3)
    assert network.output_shape == (None, 6, 5, 8)
    for ours, theirs in zip(network.get_weights(), saved.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    assert (body.weights, body.sha256) == (
        "body.keras",
        hashlib.sha256(file.read_bytes()).hexdigest(),
    )


def test_the_hash_must_be_the_one_that_is_known(tmp_path: Path) -> None:
    file = tmp_path / "body.keras"
    write_body(file)
    known = hashlib.sha256(file.read_bytes()).hexdigest()
    assert headless_file(file, 32, 32, sha256=known).sha256 == known
    with pytest.raises(SetupError, match=f"its sha256 is {known}, not 00"):
        headless_file(file, 32, 32, sha256="0" * 64)


def test_a_layer_that_runs_code_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "body.keras"
    write_body(file, 32, layers.Lambda(lambda x: x))  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(SetupError, match="layers that are not allowed: Lambda"):
        headless_file(file, 32, 32)


def test_a_file_that_is_missing_or_something_else_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file"):
        headless_file(tmp_path / "nothing.keras", 32, 32)
    (tmp_path / "text.keras").write_text("no network")
    with pytest.raises(SetupError, match=r"not a \.keras file"):
        headless_file(tmp_path / "text.keras", 32, 32)


def test_a_size_that_the_body_cannot_take_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "body.keras"
    write_body(file, 32, layers.Flatten(), layers.Dense(2))
    with pytest.raises(SetupError, match="Keras cannot open it"):
        headless_file(file, 64, 64)


@pytest.mark.parametrize("name", APPLICATION_FILES)
def test_weights_that_are_not_there_are_asked_for_by_name(name: Any, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=APPLICATION_FILES[name]):
        application(name, 32, 32, tmp_path / "nothing.h5")


def test_a_photo_gives_one_vector_whether_the_body_pools_or_not() -> None:
    places = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    assert np.asarray(pooled(places)).tolist() == [[10, 11, 12, 13]]
    assert pooled(places[:, 0, 0]) is not None
    assert np.array_equal(pooled(places[:, 0, 0]), places[:, 0, 0])
