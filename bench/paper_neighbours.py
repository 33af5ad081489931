"""What the paper's split is worth to a tagger that learns nothing.

It looks a photo up among the training photos, 16 x 16 pixels each, and gives it the tags of the
nearest. What it gains by another split is therefore the split's.
"""

from collections import defaultdict
from statistics import mean, stdev
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.paper_leak import Looks, ways_to_split
from bench.sections import Section
from shared.domain.scores import exact_match_ratio, hamming_score
from shared.domain.thresholds import fit_for_hamming, fit_per_tag, fit_single
from worker.dataset.split import split
from worker.judging.leak import agreement, neighbours, seen_in_training

_NEIGHBOURS: Final = 15


def flattery(looks: Looks, seeds: int) -> Section:
    """What the nearest neighbour scores by kind of split; no network is trained."""
    rows: list[list[Any]] = []
    products = [photo.product for photo in looks.photos]
    for name, parts_of in ways_to_split(looks).items():
        measured: dict[str, list[list[float]]] = defaultdict(list)
        for seed in range(seeds):
            parts = np.array(parts_of(seed))
            test = np.flatnonzero(parts == "test")
            predicted = _nearest_tags(looks, np.flatnonzero(parts == "train"), test)
            seen = seen_in_training(parts.tolist(), products)
            for what, chosen in _slices(looks, test, seen).items():
                its = agreement(predicted[chosen], looks.truth[test[chosen]])
                if its.hamming is not None and its.exact_match is not None:
                    nonempty = its.hamming_nonempty or 0.0
                    values = [its.photos, its.hamming, nonempty, its.exact_match, its.empty or 0.0]
                    measured[what].append(values)
        for what, values in measured.items():
            columns = list(zip(*values, strict=True))
            spread = stdev(columns[1]) if len(values) > 1 else None
            middle = [mean(column) for column in columns]
            rows.append([name, what, round(middle[0]), middle[1], spread, *middle[2:]])
    rows += _by_left_out_set(looks)
    return Section(
        "What the split is worth to a tagger that learns nothing",
        "The tags of the training photo that is nearest in 16 x 16 pixels. Mean and standard "
        f"deviation over {seeds} seeds; where a set is left out, all others are the training.",
        [
            "split by",
            "test photos",
            "photos",
            "Hamming",
            "deviation",
            "Hamming, tagged",
            "MR",
            "always empty",
        ],
        rows,
    )


def thresholds(looks: Looks, seeds: int) -> Section:
    """One threshold for all tags against one a tag, fitted on validation, split by product."""
    ways = ("one for all tags (the paper's)", "one a tag, best F1", "one a tag, best Hamming")
    found: dict[str, list[list[float]]] = {way: [] for way in ways}
    for seed in range(seeds):
        parts = np.array(split(looks.photos, seed, looks.groups))
        train, validation, test = (
            np.flatnonzero(parts == part) for part in ("train", "validation", "test")
        )
        scores = _neighbour_scores(looks, train, validation)
        truth = looks.truth[validation]
        fitted = (
            np.full(truth.shape[1], fit_single(scores, truth), np.float32),
            fit_per_tag(scores, truth).values,
            fit_for_hamming(scores, truth).values,
        )
        on_test = _neighbour_scores(looks, train, test)
        for way, cuts in zip(ways, fitted, strict=True):
            tags = on_test >= cuts
            measured = [
                hamming_score(tags, looks.truth[test]),
                exact_match_ratio(tags, looks.truth[test]),
                float(cuts.min()),
                float(cuts.max()),
            ]
            found[way].append(measured)
    rows = [[way, *map(mean, zip(*found[way], strict=True))] for way in ways]
    return Section(
        "Thresholds",
        f"Scores are the share of the {_NEIGHBOURS} nearest training photos that carry the tag; "
        f"split by product, fitted on validation, measured on test, mean of {seeds} seeds.",
        ["threshold", "Hamming", "MR", "lowest", "highest"],
        rows,
    )


def _slices(
    looks: Looks, test: NDArray[np.intp], seen: NDArray[np.bool_]
) -> dict[str, NDArray[np.bool_]]:
    user = np.array([looks.photos[int(row)].source == "user" for row in test])
    slices = {"all": np.ones(len(test), np.bool_), "catalogue": ~user, "user": user}
    if seen.any():
        slices |= {"product in training": seen, "product not in training": ~seen}
    return {name: chosen for name, chosen in slices.items() if chosen.any()}


def _by_left_out_set(looks: Looks) -> list[list[Any]]:
    sets = np.array([photo.set_name for photo in looks.photos])
    names = sorted(set(sets.tolist()))
    if len(names) < 2:
        return []
    rows: list[list[Any]] = []
    predicted = np.zeros_like(looks.truth)
    for name in names:
        test = np.flatnonzero(sets == name)
        predicted[test] = _nearest_tags(looks, np.flatnonzero(sets != name), test)
        rows.append(["set", f"{name} left out", *_judged(predicted[test], looks.truth[test])])
    user = np.array([photo.source == "user" for photo in looks.photos])
    for what, chosen in (("user", user), ("catalogue", ~user), ("all", user | ~user)):
        if chosen.any():
            its = _judged(predicted[chosen], looks.truth[chosen])
            rows.insert(0, ["set", f"{what}, each set left out in turn", *its])
    return rows


def _judged(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> list[Any]:
    its = agreement(predicted, truth)
    return [its.photos, its.hamming, None, its.hamming_nonempty, its.exact_match, its.empty]


def _nearest_tags(
    looks: Looks, train: NDArray[np.intp], test: NDArray[np.intp]
) -> NDArray[np.bool_]:
    nearest = neighbours(looks.small[train], looks.small[test], 1)[:, 0]
    return looks.truth[train[nearest]]


def _neighbour_scores(
    looks: Looks, train: NDArray[np.intp], test: NDArray[np.intp]
) -> NDArray[np.float32]:
    k = min(_NEIGHBOURS, len(train))
    nearest = neighbours(looks.small[train], looks.small[test], k)
    return looks.truth[train[nearest]].mean(axis=1, dtype=np.float32)
