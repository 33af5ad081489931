"""How much the paper's split lets through: products, files and look-alikes on both sides."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.sections import Section
from shared.settings import Settings
from worker.dataset import near_duplicates
from worker.dataset.labelled import Dataset, LabelledPhoto, Part, truth_of
from worker.dataset.split import image_split, split
from worker.dataset.store import pixel_store
from worker.decode.phash import SIDE, phash
from worker.judging.leak import seen_in_training
from worker.judging.paper import notebook_sample

_SMALL: Final = 16


@dataclass(frozen=True, slots=True)
class Looks:
    """What the photos of a data set look like, and what they carry."""

    photos: tuple[LabelledPhoto, ...]
    small: NDArray[np.float32]  #: `[photos, 768]`, 16 x 16 pixels
    truth: NDArray[np.bool_]  #: `[photos, tags]`
    files: list[str]  #: SHA-256 of each file
    groups: dict[str, str]  #: near-duplicate group by photo

    def near(self) -> list[str | None]:
        """The near-duplicate group of each photo, None for one without near-duplicates."""
        return [self.groups.get(photo.photo) for photo in self.photos]


def look(dataset: Dataset) -> Looks:
    """Reads each photo once.

    Raises:
        DatasetError: no photo can be read.
    """
    limits = Settings.model_fields
    readable, pixels = pixel_store(
        dataset,
        None,
        height=SIDE,
        width=SIDE,
        max_photo_pixels=limits["max_photo_pixels"].default,
        min_photo_elements=limits["min_photo_elements"].default,
    )
    photos = readable.photos
    side = SIDE // _SMALL
    small = pixels.reshape(len(photos), _SMALL, side, _SMALL, side, 3).mean(axis=(2, 4))
    names = [photo.photo for photo in photos]
    return Looks(
        photos=photos,
        small=small.reshape(len(photos), -1).astype(np.float32),
        truth=truth_of(photos, readable.tags) > 0,
        files=[hashlib.sha256(readable.body(photo)).hexdigest() for photo in photos],
        groups=near_duplicates.group(names, [phash(photo) for photo in pixels]),
    )


def leaks(looks: Looks, seeds: int) -> Section:
    """The share of test photos that training has seen in another form, by kind of split."""
    keys: dict[str, list[Any]] = {
        "product": [photo.product for photo in looks.photos],
        "file": looks.files,
        "near": looks.near(),
    }
    rows: list[list[Any]] = []
    for name, parts_of in ways_to_split(looks).items():
        shares: dict[str, list[float]] = defaultdict(list)
        for seed in range(seeds):
            parts = parts_of(seed)
            for kind, its_keys in keys.items():
                shares[kind].append(float(seen_in_training(parts, its_keys).mean()))
        rows.append([name, *(mean(shares[kind]) for kind in keys)])
    return Section(
        "What leaks",
        f"Share of test photos with a training photo of the same product, that is the same file, "
        f"or that looks the same by its perceptual hash; mean of {seeds} seeds.",
        ["split by", "product in training", "file in training", "look-alike in training"],
        rows,
    )


def sampled_leaks(looks: Looks, seeds: int) -> Section:
    """The same after the large set's sampling, 5 catalogue photos and 2 of users' a product."""
    files = dict(zip((photo.photo for photo in looks.photos), looks.files, strict=True))
    product_of = {photo.photo: photo.product for photo in looks.photos}
    found: list[tuple[float, ...]] = []
    for seed in range(seeds):
        drawn = _sampled(looks.photos, seed)
        users = [name for name, source in drawn if source == "user"]
        order = np.random.default_rng(seed).permutation(len(drawn))
        tests = round(0.15 * len(drawn))
        validations = round(0.1 * (len(drawn) - tests))
        parts = ["train"] * len(drawn)
        for place, row in enumerate(order[: tests + validations]):
            parts[row] = "test" if place < tests else "validation"
        of_users = [
            source == "user"
            for part, (_, source) in zip(parts, drawn, strict=True)
            if part == "test"
        ]
        same_file = seen_in_training(parts, [files[name] for name, _ in drawn])
        same_product = seen_in_training(parts, [product_of[name] for name, _ in drawn])
        found.append(
            (
                len(drawn),
                len(users),
                len(users) - len(set(users)),
                float(same_product.mean()),
                float(same_file.mean()),
                float(same_file[of_users].mean()) if any(of_users) else 0.0,
            )
        )
    means = [mean(column) for column in zip(*found, strict=True)]
    return Section(
        "What leaks after the large set's sampling, split by photo",
        "Up to 5 catalogue photos of each product, and 2 user photos with replacement. With u user "
        "photos the second is the first again with probability 1/u, and nearly all products here "
        f"have one: an upper end, not the paper's figure. Mean of {seeds} seeds.",
        [
            "rows",
            "user rows",
            "user rows that repeat",
            "test: product in training",
            "test: file in training",
            "user test: file in training",
        ],
        [[*map(round, means[:3]), *means[3:]]],
    )


def ways_to_split(looks: Looks) -> dict[str, Callable[[int], list[Part]]]:
    """The ways of splitting the photos, each by a seed."""
    return {
        "photo (the paper's)": partial(image_split, looks.photos),
        "product": partial(split, looks.photos),
        "product and look": partial(split, looks.photos, groups=looks.groups),
    }


def _sampled(photos: Sequence[LabelledPhoto], seed: int) -> list[tuple[str, str]]:
    random = np.random.default_rng(seed)
    by_product: defaultdict[str, dict[str, list[str]]] = defaultdict(
        lambda: {"catalogue": [], "user": []}
    )
    for photo in photos:
        by_product[photo.product][photo.source].append(photo.photo)
    drawn: list[tuple[str, str]] = []
    for its in by_product.values():
        catalogue, users = notebook_sample(its["catalogue"], its["user"], random)
        drawn += [(name, "catalogue") for name in catalogue]
        drawn += [(name, "user") for name in users]
    return drawn
