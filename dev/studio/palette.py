"""Colours and materials that many objects share, and how one is picked."""

from dev.studio.mesh import Colour, Material
from dev.studio.textures import BRANDS, Random

BLACK: Colour = (0.12, 0.12, 0.13)
GREY: Colour = (0.45, 0.46, 0.48)
SILVER: Colour = (0.78, 0.79, 0.8)
WHITE: Colour = (0.93, 0.93, 0.92)
GREEN: Colour = (0.08, 0.42, 0.2)
BLUE: Colour = (0.08, 0.22, 0.5)
BLACK_BOARD: Colour = (0.11, 0.11, 0.12)


def pick(rng: Random, *choices: Colour) -> Colour:
    return choices[int(rng.integers(len(choices)))]


def brand(rng: Random) -> str:
    return BRANDS[int(rng.integers(len(BRANDS)))]


GOLD = Material((0.9, 0.7, 0.25), metal=1, gloss=1.2, rough=0.3)
STEEL = Material((0.8, 0.8, 0.82), metal=1, gloss=1.1, rough=0.35)
PLASTIC = Material(BLACK, gloss=0.5, rough=0.5)
CHIP = Material((0.1, 0.1, 0.11), gloss=0.7, rough=0.4)
