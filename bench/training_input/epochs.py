"""Batches as a training reads them, without a network: from its mapped pixels, and from memory."""

# pyright: reportUnknownVariableType=false

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from bench.training_input.turns import MEMORY, SHARDS, Input, Turn
from shared.settings import PhotoLimits
from worker.dataset.labelled import read_dataset, truth_of
from worker.dataset.store import pixel_store
from worker.decode import pixels
from worker.training.examples import PhotoExamples, batches, drawn
from worker.training.recipes import Recipe


def measure(
    folder: Path,
    work: Path,
    recipe: Recipe,
    *,
    rounds: int,
    turn_s: float,
    say: Callable[[str], None],
) -> Input:
    """Reads a data set in shards as a training of this recipe does.

    Args:
        folder: the data set.
        work: where the pixels go; empty.
        recipe: says how large photos and batches are.
        rounds: how often each source has its turn.
        turn_s: a turn begins epochs for so long.
        say: told what is going on.
    """
    pixels.configure()
    limits = PhotoLimits(_env_file=None)  # pyright: ignore[reportCallIssue]
    started = time.perf_counter()
    dataset, mapped = pixel_store(
        read_dataset(folder),
        work,
        height=recipe.side,
        width=recipe.side,
        max_photo_pixels=limits.max_photo_pixels,
        min_photo_elements=limits.min_photo_elements,
        preprocessing=recipe.preprocessing,
    )
    pixels_s = time.perf_counter() - started
    truth = truth_of(dataset.photos, dataset.tags)
    places = np.arange(len(dataset.photos))
    sources: Mapping[str, PhotoExamples] = {
        SHARDS: PhotoExamples(mapped, truth, places),
        MEMORY: PhotoExamples(np.array(mapped), truth, places),
    }
    size = recipe.schedule.batch_photos
    for examples in sources.values():  # TensorFlow gets ready
        _turn("", examples, size, 0)
    turns: list[Turn] = []
    for round_ in range(rounds):
        for source in sources if round_ % 2 == 0 else reversed(sources):
            turns.append(_turn(source, sources[source], size, turn_s))
            say(f"round {round_ + 1}, {source}: {turns[-1].images_per_s:,.0f} images/s")
    return Input(len(dataset.photos), pixels_s, turns)


def _turn(source: str, examples: PhotoExamples, size: int, turn_s: float) -> Turn:
    images, epoch = 0, 0
    started = time.perf_counter()
    while True:
        order = drawn(examples, np.random.default_rng(epoch))
        for inputs, _ in batches(examples, order, epoch, size):
            images += len(inputs)
        epoch += 1
        seconds = time.perf_counter() - started
        if seconds >= turn_s:
            return Turn(source, images, seconds)
