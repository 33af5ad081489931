"""The processes that train one network together, on one machine or several.

Each is started with the same command and with `TF_CONFIG`, which tells it where the others are and
which of them it is; without it a process trains alone. All share one folder of work.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportUntypedFunctionDecorator=false

import functools
import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import tensorflow as tf

from shared.errors import ClusterLost, SetupError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cluster:
    """This process among those that train together."""

    strategy: Any  #: a `tf.distribute.Strategy`
    place: int  #: of this process, from 0
    size: int

    @property
    def chief(self) -> bool:
        """Whether this process is the one that writes what all of them made."""
        return self.place == 0

    def sums(self, values: Sequence[float]) -> list[float]:
        """The sum over all processes of each value; all must ask at the same point."""
        if self.size == 1:
            return [float(value) for value in values]
        added = self.strategy.reduce("SUM", tf.constant(values, tf.float64), axis=None)
        return [float(value) for value in added]

    @contextmanager
    def held_together(self) -> Generator[None]:
        """Around what the processes do together.

        Raises:
            ClusterLost: another process ended.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if self.size == 1 or isinstance(error, tf.errors.ResourceExhaustedError):
                raise
            raise ClusterLost(
                "another process of the cluster is gone, and this one ends too: start all of them "
                f"again, and they go on after the last epoch ({type(error).__name__})"
            ) from error

    def in_turn(self, make: Callable[[], T]) -> T:
        """Lets the chief make what lies in the shared folder, and the others find it made."""
        made = [make()] if self.chief else []
        self.sums([0.0])
        return made[0] if made else make()


@functools.cache
def join() -> Cluster:
    """This process's cluster, once for its lifetime; to be called before TensorFlow computes.

    Raises:
        SetupError: `TF_CONFIG` is not a list of workers and a place among them.
    """
    told = os.environ.get("TF_CONFIG")
    if not told:
        return Cluster(tf.distribute.get_strategy(), 0, 1)
    try:
        config = json.loads(told)
        size, place = len(config["cluster"]["worker"]), int(config["task"]["index"])
        known = set(config["cluster"]) == {"worker"} and config["task"]["type"] == "worker"
    except (ValueError, TypeError, KeyError):
        known, size, place = False, 0, 0
    if not known or not 0 <= place < size:
        raise SetupError(
            'TF_CONFIG is to name workers and this one\'s place among them, as {"cluster": '
            '{"worker": ["host:port", "host:port"]}, "task": {"type": "worker", "index": 0}}'
        )
    return Cluster(tf.distribute.MultiWorkerMirroredStrategy(), place, size)


def precision() -> str:
    """The Keras dtype policy for what is fitted: bfloat16 where all GPUs compute in it."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    # Ampere and later; float16 of older ones would need its losses scaled.
    able = all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
    return "mixed_bfloat16" if gpus and able else "float32"
