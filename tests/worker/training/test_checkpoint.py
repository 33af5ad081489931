"""A checkpoint gives back all that a fit knew, and nothing that is not its own."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras

from worker.training.checkpoint import Checkpoint


def _network(fill: float) -> tuple[keras.Model, keras.Optimizer]:
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.AdamW()
    optimizer.build(network.trainable_variables)
    _fill(network, fill)
    return network, optimizer


def _fill(network: keras.Model, value: float) -> None:
    for variable in network.variables:
        variable.assign(np.full(variable.shape, value, np.float32))


def _kernel(network: keras.Model) -> float:
    kernel: Any = network.get_weights()[0]
    return float(kernel[0, 0])


def _saved(path: Path, losses: list[float], fingerprint: str = "f") -> keras.Model:
    """A checkpoint after epochs with these losses; in epoch n all weights are n."""
    network, optimizer = _network(0)
    checkpoint = Checkpoint(network, optimizer, path, fingerprint)
    for epoch, loss in enumerate(losses, 1):
        _fill(network, epoch)
        checkpoint.save(epoch, loss)
    return network


def test_it_goes_on_with_the_last_epoch_and_ends_with_the_best(tmp_path: Path) -> None:
    path = tmp_path / "work" / "c.npz"
    _saved(path, [3.0, 1.0, 2.0])
    network, optimizer = _network(-1)
    checkpoint = Checkpoint(network, optimizer, path, "f")
    assert checkpoint.restore() == 3
    assert (_kernel(network), checkpoint.best_epoch, checkpoint.best_loss) == (3, 2, 1.0)
    checkpoint.take_best()
    assert _kernel(network) == 2


def test_the_optimizer_is_part_of_it(tmp_path: Path) -> None:
    network, optimizer = _network(1)
    optimizer.apply([np.ones(v.shape, np.float32) for v in network.trainable_variables])
    Checkpoint(network, optimizer, tmp_path / "c.npz", "f").save(1, 0.5)
    again, other = _network(0)
    Checkpoint(again, other, tmp_path / "c.npz", "f").restore()
    for one, two in zip(optimizer.variables, other.variables, strict=True):
        assert np.array_equal(one.numpy(), two.numpy())


def test_a_beginning_that_nothing_bettered_is_the_best(tmp_path: Path) -> None:
    network, optimizer = _network(7)
    checkpoint = Checkpoint(network, optimizer, tmp_path / "c.npz", "f")
    checkpoint.save(0, 0.1)
    _fill(network, 8)
    checkpoint.save(1, 0.2)
    checkpoint.take_best()
    assert (_kernel(network), checkpoint.best_epoch) == (7, 0)


def test_another_fingerprint_is_not_taken_up(tmp_path: Path) -> None:
    _saved(tmp_path / "c.npz", [1.0], fingerprint="another")
    network, optimizer = _network(-1)
    assert Checkpoint(network, optimizer, tmp_path / "c.npz", "f").restore() is None
    assert _kernel(network) == -1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nonsense"])
def test_a_broken_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.npz").write_bytes(content)
    network, optimizer = _network(-1)
    assert Checkpoint(network, optimizer, tmp_path / "c.npz", "f").restore() is None


def test_a_file_cut_short_is_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    _saved(path, [1.0])
    path.write_bytes(path.read_bytes()[:-200])
    network, optimizer = _network(-1)
    assert Checkpoint(network, optimizer, path, "f").restore() is None


def test_a_process_that_only_helps_writes_nothing(tmp_path: Path) -> None:
    network, optimizer = _network(1)
    checkpoint = Checkpoint(network, optimizer, tmp_path / "c.npz", "f", writes=False)
    checkpoint.save(1, 0.5)
    assert not list(tmp_path.iterdir())
    assert checkpoint.best_epoch == 1
