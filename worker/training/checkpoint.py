"""All that a fit knows after an epoch, in one file without pickles."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false

import json
import os
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np
from numpy.typing import NDArray


class Checkpoint:
    """Weights, optimizer and the best weights so far."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.Optimizer,
        path: Path,
        fingerprint: str,
        *,
        writes: bool = True,
    ) -> None:
        """Reads nothing yet.

        Args:
            model: whose variables are kept, and given back.
            optimizer: built for the model.
            path: the file.
            fingerprint: what must be the same for the file to be taken up.
            writes: whether the file is this process's to write.
        """
        # The seed variables of the dropout layers are among them: weights alone are not enough.
        self._live = [*model.variables, *optimizer.variables]
        self._model = model
        self._path = path
        self._fingerprint = fingerprint
        self._writes = writes
        self._best = _values(model.variables)
        self.best_epoch = 0
        self.best_loss = float("inf")

    def restore(self) -> int | None:
        """The epochs already behind us; None where there is nothing to take up."""
        try:
            with np.load(self._path, allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                if about["fingerprint"] != self._fingerprint:
                    return None
                live = [arrays[f"live{i}"] for i in range(len(self._live))]
                best = [arrays[f"best{i}"] for i in range(len(self._best))]
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):  # none yet, or not ours
            return None
        for variable, value in zip(self._live, live, strict=True):
            variable.assign(value)
        self._best, self.best_epoch = best, int(about["best_epoch"])
        self.best_loss = float(about["best_loss"])
        return int(about["epoch"])

    def save(self, epoch: int, validation_loss: float) -> None:
        """Keeps all, and the weights as the best if the loss is the lowest so far."""
        if validation_loss < self.best_loss:
            self.best_loss = validation_loss
            self.best_epoch = epoch
            self._best = _values(self._model.variables)
        if not self._writes:
            return
        about = {
            "fingerprint": self._fingerprint,
            "epoch": epoch,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
        }
        arrays: dict[str, NDArray[Any]] = {"about": np.array(json.dumps(about))}
        arrays |= {f"live{i}": value for i, value in enumerate(_values(self._live))}
        arrays |= {f"best{i}": value for i, value in enumerate(self._best)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)

    def take_best(self) -> None:
        """Gives the model the weights of the best epoch."""
        for variable, value in zip(self._model.variables, self._best, strict=True):
            variable.assign(value)


def _values(variables: Any) -> list[NDArray[Any]]:
    # Copies, because an array of TensorFlow's may be the variable's own memory.
    return [np.array(variable.value.numpy()) for variable in variables]
