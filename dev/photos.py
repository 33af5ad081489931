"""The project's own sample listings: rendered photos of second-hand electronics and their texts."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from dev.studio.catalogue import KINDS, Kind
from dev.studio.lens import encode
from dev.studio.scenes import shoot
from dev.studio.textures import Random

INDEX_NAME = "photos.json"

_SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
_SPAM = ("iphone", "free shipping", "best price", "headphones", "wow", "gift", "camera", "top deal")


@dataclass(frozen=True, slots=True)
class SamplePhoto:
    """One listing: its photo file and what its seller says, beside what it truly is."""

    path: Path
    kind: str
    tags: tuple[str, ...]  #: the true ones, out of the model's vocabulary
    title: str
    seller_tags: tuple[str, ...]  #: the seller's own words; on a few listings padded with spam
    in_shop: bool  #: on a shop's white sweep, else at a seller's home
    width: int  #: pixels, upright
    height: int


def render_all(
    out: Path,
    *,
    count: int = 72,
    seed: int = 7,
    processes: int | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> list[SamplePhoto]:
    """Render `count` photos into `out` and describe them there in photos.json.

    The same seed gives the same scenes. `processes` defaults to the machine's cores; with 1 the
    caller's own process draws. `on_done(done, count)` is called as each photo is finished.
    """
    out.mkdir(parents=True, exist_ok=True)
    photos: list[SamplePhoto] = []
    for done, photo in enumerate(_rendered(out, count, seed, processes), 1):
        photos.append(photo)
        if on_done:
            on_done(done, count)
    photos.sort(key=lambda photo: photo.path.name)
    index = [{**asdict(photo), "path": photo.path.name} for photo in photos]
    (out / INDEX_NAME).write_text(json.dumps(index, indent=1) + "\n")
    return photos


def _rendered(out: Path, count: int, seed: int, processes: int | None) -> Iterator[SamplePhoto]:
    workers = min(count, processes or os.cpu_count() or 1)
    if workers <= 1:
        for index in range(count):
            yield _render_one(out, index, seed)
        return
    # Spawned, not forked: the caller may have threads (a progress bar, a TensorFlow runtime).
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(_render_one, out, index, seed) for index in range(count)]
        for finished in as_completed(waiting):
            yield finished.result()


def _render_one(out: Path, index: int, seed: int) -> SamplePhoto:
    """Draw photo `index` of the series; every photo has a generator of its own."""
    turn, place = divmod(index, len(KINDS))
    kind = KINDS[place]
    rng = np.random.default_rng([seed, turn, place])
    shot = shoot(kind, rng, in_shop=_in_shop(kind, turn))
    name = f"{index:03d}-{kind.name.replace(' ', '-')}{_SUFFIX[shot.encoding.format]}"
    path = out / name
    path.write_bytes(encode(shot.photo, shot.encoding))
    width, height = shot.photo.size
    title = kind.titles[int(rng.integers(len(kind.titles)))]
    words = _seller_tags(kind, rng)
    return SamplePhoto(path, kind.name, kind.tags, title, words, shot.in_shop, width, height)


def _in_shop(kind: Kind, turn: int) -> bool:
    """Spread each kind's share of shop photos evenly over its turns."""
    return int((turn + 1) * kind.shop_share + 0.5) > int(turn * kind.shop_share + 0.5)


def _seller_tags(kind: Kind, rng: Random) -> tuple[str, ...]:
    words = list(kind.words)
    if rng.random() < 0.15:
        words += [str(word) for word in rng.choice(_SPAM, 4, replace=False)]
    return tuple(words)
