"""What was found about a training's input."""

from dataclasses import dataclass
from typing import Final

SHARDS: Final = "shards"
MEMORY: Final = "memory"


@dataclass(frozen=True, slots=True)
class Turn:
    """Whole epochs from one source, one after another."""

    source: str  #: `SHARDS`: the file of pixels that a training makes of them; or `MEMORY`
    images: int
    seconds: float

    @property
    def images_per_s(self) -> float:
        """Images a second."""
        return self.images / self.seconds


@dataclass(frozen=True, slots=True)
class Input:
    """What was found."""

    images: int  #: of an epoch
    pixels_s: float  #: from shards to pixels on disk, which a training does once
    turns: list[Turn]
