"""How long, how fast and in what batches a network is fitted."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """What, besides network, photos and seed, decides a fit."""

    epochs: int  #: at most, those before a restart included
    batch_photos: int
    learning_rate: float
    annealed: bool = False  #: the rate falls to nothing along half a cosine
    weight_decay: float = 0.0
    patience: int | None = None  #: epochs without a better validation loss before it ends
    augmented: bool = False  #: the inputs are pixels, and no two epochs see the same

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch (counted from 0)."""
        fall = (1 + math.cos(math.pi * epoch / self.epochs)) / 2 if self.annealed else 1.0
        return self.learning_rate * fall

    def gives_up(self, epoch: int, best_epoch: int) -> bool:
        """Whether to end before the last epoch, after `epoch` of them."""
        return self.patience is not None and epoch - best_epoch >= self.patience
